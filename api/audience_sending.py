"""Audiences that were sent, and so count as contacts, or that are given up: in the same book as exports."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from api.audience_models import Audience
from api.export_check import states_of
from api.refusals import ConflictError
from api.sendings import Sendings
from api.service import Service
from data_contracts.columns import USER_ID
from data_contracts.overlay.rows import micros
from sql.audiences import audience, members_after
from sql.client import Store
from sql.contacts import Contacts, Ints
from sql.exports import Export, Step

_AT_ONCE = 1_000


@dataclass
class AudienceSendings(Sendings):
    """One of which the book knows nothing waits to be sent."""

    what: str = "audience"

    async def look(self, name: str) -> Export:
        return await super().look(name) or Export(name, Step.WRITTEN, datetime.fromtimestamp(0, UTC), {}, {}, "", 0)

    async def refuse_settled(self, name: str) -> None:
        """Raises ConflictError for one that was sent or cancelled."""
        found = await self.look(name)
        if found.step is not Step.WRITTEN:
            raise ConflictError(f"the audience is {found.step}: only what waits to be sent can be pulled")

    async def sent(self, service: Service, one: Audience, *, actor: str) -> None:
        """Counts every member but the control group, and but who was erased. The same again changes nothing."""

        async def count(found: Export) -> int:
            return await self._with(lambda store: _counted(store, service.watch.serving.snapshot_id, one, found))

        await self.confirmed(one.id, actor=actor, told=lambda _: {}, count=count)

    async def cancel(self, one: Audience, *, actor: str) -> None:
        """Its control group may be contacted about the product again."""
        found = await self.taken_back(one.id, actor=actor)
        await self._with(lambda store: _contacts(one).give_back(store, at=micros(found.at)))


def _counted(store: Store, snapshot_id: str, one: Audience, found: Export) -> int:
    contacts, told = _contacts(one), 0
    for members in _members(store, one.id):
        users = np.array(states_of(store, snapshot_id, members)[USER_ID].to_pylist(), np.int64)
        items = pa.array([one.request.product_id] * len(users), pa.string())
        contacts.count(store, users, items, at=micros(found.at))
        told += len(users)
    return told


def _members(store: Store, audience_id: str) -> Iterator[Ints]:
    kept, after = audience(store, audience_id), 0
    while kept is not None and (page := members_after(store, kept.members, after=after, most=_AT_ONCE)):
        yield np.array([member.user_id for member in page], np.int64)
        after = page[-1].place


def _contacts(one: Audience) -> Contacts:
    return Contacts(one.id, one.request.channel.value)
