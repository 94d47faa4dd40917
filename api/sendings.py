"""What is prepared to be sent, exports and audiences: asked for once a key, confirmed once or taken back.

Their book is in ClickHouse, so that any replica tells where one stands.
"""

import asyncio
import hashlib
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from api.changing import in_store
from api.refusals import ConflictError, UnknownError
from data_contracts.settings import Settings
from sql.client import Store
from sql.exports import Export, Step, export_of, put_step

Result = TypeVar("Result")
# To count the contacts of everybody takes minutes.
_STORE_SECONDS = 300


def id_of(actor: str, key: str, *, digits: int) -> str:
    """One client's key is one thing: hexadecimal digits."""
    return hashlib.sha256(f"{actor}\0{key}".encode()).hexdigest()[:digits]


def refuse_another(*, is_same: bool, field: str, what: str) -> None:
    """Raises ConflictError where a key was used before, and not for the same."""
    if not is_same:
        raise ConflictError(f"{field}: was used for another {what}", field=field)


@dataclass
class Sendings:
    """`what` one is called where something is refused."""

    settings: Settings
    what: str
    locks: weakref.WeakValueDictionary[str, asyncio.Lock] = field(default_factory=weakref.WeakValueDictionary)

    async def look(self, name: str) -> Export | None:
        return await self._with(lambda store: export_of(store, name))

    async def confirmed(
        self,
        name: str,
        *,
        actor: str,
        told: Callable[[Export], Mapping[str, Any]],
        count: Callable[[Export], Awaitable[int]],
    ) -> Export:
        """Counts what was sent as contacts, once; what broke off goes on. The same again changes nothing.

        `told`: what is said of it; it refuses what was said otherwise before, here or by another replica. Raises
        UnknownError, ConflictError.
        """
        async with self._alone(name):
            found = await self._known(name)
            said = told(found)
            if found.step is Step.WRITTEN:
                found = await self._put(name, Step.CONFIRMING, actor, said, said)
                said = told(found)
        if found.step is Step.SENT:
            return found
        if found.step is not Step.CONFIRMING:
            raise ConflictError(f"the {self.what} is {found.step}: only what is written can have been sent")
        return await self._put(name, Step.SENT, actor, {}, {**said, "contacts": await count(found)})

    async def taken_back(self, name: str, *, actor: str) -> Export:
        """Nothing of it counts as sent. Raises UnknownError, ConflictError."""
        async with self._alone(name):
            told = await self._known(name)
            if told.step not in (Step.CANCELLED, Step.CONFIRMING, Step.SENT):
                told = await self._put(name, Step.CANCELLED, actor, {}, {})
        if told.step is not Step.CANCELLED:
            raise ConflictError(f"the {self.what} is {told.step}: it cannot be cancelled")
        return told

    def _alone(self, name: str) -> asyncio.Lock:
        """Between a look at where one stands and the step that follows from it, nobody else here takes one."""
        return self.locks.setdefault(name, asyncio.Lock())

    async def _known(self, name: str) -> Export:
        found = await self.look(name)
        if found is None:
            raise UnknownError(f"there is no such {self.what}")
        return found

    async def _put(
        self, name: str, step: Step, actor: str, request: Mapping[str, Any], told: Mapping[str, Any]
    ) -> Export:
        def put(store: Store) -> Export | None:
            put_step(store, name, step, actor=actor, request=request, told=told)
            return export_of(store, name)

        found = await self._with(put)
        if found is None:
            raise UnknownError(f"there is no such {self.what}")
        return found

    async def _with(self, work: Callable[[Store], Result]) -> Result:
        return await in_store(self.settings, work, seconds=_STORE_SECONDS)
