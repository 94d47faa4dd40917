"""Exports of lists: asked for once by a key, written in the background, confirmed when they are sent.

Their book is in ClickHouse, so that any replica tells where one stands. A replica that writes one says so every few
seconds; where it falls silent, the same request begins it anew.
"""

import asyncio
import contextlib
import hashlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar
from uuid import uuid4

import orjson

from api.bulk import Asked, Pull
from api.changing import in_store
from api.export_check import Check, Prepared, contacts_in, removed_name
from api.export_files import MANIFEST, Folder, StoppedError, short_name, write_export
from api.pulls import opened
from api.refusals import BusyLaterError, ConflictError, UnknownError
from api.service import Service
from data_contracts.errors import RecsError
from data_contracts.overlay import row_of
from data_contracts.overlay.kinds import CAMPAIGNS
from data_contracts.overlay.rows import micros
from data_contracts.settings import Settings
from data_contracts.vocabulary import CampaignEvent
from sql.client import Address, Store, connected
from sql.exports import Export, Step, export_of, put_step
from sql.user_events import put_events

Result = TypeVar("Result")
_LOG = logging.getLogger("recs.api")

_BEAT_SECONDS, _SILENT_SECONDS = 5.0, 30
_MOST_AT_ONCE = 2
_CONTACTS_AT_ONCE = 1_000
# To count an export's contacts takes minutes.
_STORE_SECONDS = 300
_CANCELLED = "cancelled.json"
_BEING_WRITTEN = (Step.ASKED, Step.RUNNING)


@dataclass(frozen=True)
class Order:
    """What an export is asked for. `request` is all of it as JSON, by which two are told apart."""

    actor: str
    key: str
    asked: Asked
    snapshot: str
    partitions: int
    has_bom: bool
    request: Mapping[str, Any]

    @property
    def export_id(self) -> str:
        """One client's key is one export."""
        return hashlib.sha256(f"{self.actor}\0{self.key}".encode()).hexdigest()[:24]


@dataclass
class Exports:
    """Those that this process writes, each with what ends it."""

    settings: Settings
    running: dict[str, threading.Event] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    locks: weakref.WeakValueDictionary[str, asyncio.Lock] = field(default_factory=weakref.WeakValueDictionary)

    async def ask(self, service: Service, order: Order) -> Export:
        """Begins it, unless it was asked for before. Raises ConflictError where the key was used for another."""
        async with self._alone(order.export_id):
            found = await self.look(order.export_id)
            if found:
                _refuse_another(found, order)
                if order.export_id in self.running or not _is_left(found):
                    return found
            if len(self.running) >= _MOST_AT_ONCE:
                raise BusyLaterError(f"{_MOST_AT_ONCE} exports are being written", retry_after_seconds=30)
            return await self._begin(service, order)

    async def _begin(self, service: Service, order: Order) -> Export:
        """Where another replica began it at the same moment, only one of the two goes on."""
        attempt, is_mine = uuid4().hex[:8], False
        ended = self.running[order.export_id] = threading.Event()
        try:
            pull = await opened(service, self.settings, order.asked, snapshot=order.snapshot)
            begun = await self._put(order.export_id, Step.ASKED, order.actor, order.request, {"attempt": attempt})
            _refuse_another(begun, order)
            is_mine = begun.attempt == attempt
        finally:
            if not is_mine:
                del self.running[order.export_id]
        if is_mine:
            task = asyncio.create_task(self._write(order, attempt, pull, ended))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return begun

    def _alone(self, export_id: str) -> asyncio.Lock:
        """Between a look at where an export stands and the step that follows from it, nobody else here takes one."""
        return self.locks.setdefault(export_id, asyncio.Lock())

    async def look(self, export_id: str) -> Export | None:
        return await self._with(lambda store: export_of(store, export_id))

    async def sent(self, service: Service, export_id: str, *, actor: str, items: int) -> Export:
        """Counts what was sent as contacts: the first `items` of each list. The same again changes nothing.

        What a check took out is not counted; a part that nobody had checked is checked now.
        """
        async with self._alone(export_id):
            found = await self._known(export_id)
            told = {"sent_items": items}
            if found.step is Step.WRITTEN:
                found = await self._put(export_id, Step.CONFIRMING, actor, told, told)
        if found.step in (Step.CONFIRMING, Step.SENT) and found.told["sent_items"] != items:
            raise ConflictError(f"items: {found.told['sent_items']} of a list were confirmed", field="items")
        if found.step is Step.SENT:
            return found
        prepared = await self._prepared(found, "only what is written can have been sent", step=Step.CONFIRMING)
        check = Check(service.watch, prepared)
        contacts = await self._with(lambda store: _count(store, found, check, items))
        return await self._put(export_id, Step.SENT, actor, {}, told | {"contacts": contacts})

    async def part(self, service: Service, export_id: str, name: str) -> IO[bytes]:
        """A part of what was not sent yet, as it may be sent now. Raises UnknownError, ConflictError."""
        prepared = await self._prepared(await self._known(export_id), "only what is written can be pulled")
        if name not in prepared.files:
            raise UnknownError(f"the export has no file {name}: its files are {', '.join(prepared.files)}")
        return await self._with(lambda store: Check(service.watch, prepared).part(store, name))

    async def removed(self, service: Service, export_id: str) -> Sequence[IO[bytes]]:
        """What may not be sent of it any more, part by part, as lines of CSV. Raises UnknownError, ConflictError."""
        prepared = await self._prepared(await self._known(export_id), "only what is written can be checked")
        check = Check(service.watch, prepared)
        return await self._with(lambda store: [check.removed(store, name) for name in prepared.files])

    async def _prepared(self, found: Export, why_not: str, *, step: Step = Step.WRITTEN) -> Prepared:
        """Raises ConflictError where it does not stand at `step`."""
        if found.step is not step:
            raise ConflictError(f"the export is {found.step}: {why_not}")
        folder = self.folder(found.export_id)

        def read() -> Prepared:
            with folder.read(MANIFEST) as opened:
                return Prepared.of(folder, orjson.loads(opened.read()), found.request)

        return await asyncio.to_thread(read)

    async def cancel(self, export_id: str, *, actor: str) -> Export:
        """Its manifest is taken away; nothing of it counts as sent."""
        async with self._alone(export_id):
            told = await self._known(export_id)
            if told.step not in (Step.CANCELLED, Step.CONFIRMING, Step.SENT):
                told = await self._put(export_id, Step.CANCELLED, actor, {}, {})
        if told.step is not Step.CANCELLED:
            raise ConflictError(f"the export is {told.step}: it cannot be cancelled")
        if export_id in self.running:
            self.running[export_id].set()
        await asyncio.to_thread(self.folder(export_id).rename, MANIFEST, _CANCELLED)
        return told

    async def stop(self) -> None:
        """What is being written is left without a manifest."""
        for ended in self.running.values():
            ended.set()
        await asyncio.gather(*self.tasks)

    def folder(self, export_id: str) -> Folder:
        return Folder(self.settings.exports_uri).at(export_id)

    async def _known(self, export_id: str) -> Export:
        found = await self.look(export_id)
        if found is None:
            raise UnknownError("there is no such export")
        return found

    async def _write(self, order: Order, attempt: str, pull: Pull, ended: threading.Event) -> None:
        try:
            await asyncio.to_thread(self._written, order, attempt, pull, ended)
        except StoppedError:
            _LOG.info("export %s was stopped", order.export_id)
            with contextlib.suppress(OSError):  # then who writes it anew clears it
                await asyncio.to_thread(self.folder(order.export_id).at(attempt).empty)
        except Exception as error:
            _LOG.exception("export %s failed", order.export_id)
            why = str(error) if isinstance(error, RecsError | OSError) else "an error nobody foresaw"
            with contextlib.suppress(RecsError):  # then it falls silent
                await self._put(order.export_id, Step.FAILED, order.actor, {}, {"why": why})
        finally:
            self.running.pop(order.export_id, None)

    def _written(self, order: Order, attempt: str, pull: Pull, ended: threading.Event) -> None:
        beats, folder = [0.0], self.folder(order.export_id)
        with connected(Address.of(self.settings)) as store:

            def put(step: Step, told: Mapping[str, Any]) -> None:
                put_step(store, order.export_id, step, actor=order.actor, request={}, told=told)

            def still_wanted() -> None:
                found = export_of(store, order.export_id)
                is_mine = found and found.attempt == attempt and found.step in (*_BEING_WRITTEN, Step.FAILED)
                if ended.is_set() or not is_mine:
                    raise StoppedError

            def go_on(users: int) -> None:
                if ended.is_set():
                    raise StoppedError
                if time.monotonic() - beats[0] < _BEAT_SECONDS:
                    return
                beats[0] = time.monotonic()
                still_wanted()
                put(Step.RUNNING, {"users": users})

            go_on(0)
            manifest = write_export(
                pull,
                folder,
                attempt=attempt,
                partitions=order.partitions,
                has_bom=order.has_bom,
                about={"export_id": order.export_id, "request": order.request},
                go_on=go_on,
                still_wanted=still_wanted,
            )
            told = {name: manifest[name] for name in ("snapshot_id", "users", "lists", "items")}
            files = manifest["files"]
            size = sum(file["bytes"] for file in files)
            put(Step.WRITTEN, told | {"files": [short_name(file["name"]) for file in files], "bytes": size})
            _take_back(store, order.export_id, folder)

    async def _put(
        self, export_id: str, step: Step, actor: str, request: Mapping[str, Any], told: Mapping[str, Any]
    ) -> Export:
        def put(store: Store) -> Export | None:
            put_step(store, export_id, step, actor=actor, request=request, told=told)
            return export_of(store, export_id)

        found = await self._with(put)
        if found is None:
            raise UnknownError("there is no such export")
        return found

    async def _with(self, work: Callable[[Store], Result]) -> Result:
        return await in_store(self.settings, work, seconds=_STORE_SECONDS)


def _is_left(found: Export) -> bool:
    """Nobody writes it any more, and it is not whole."""
    return found.step is Step.FAILED or (found.step in _BEING_WRITTEN and found.seconds_ago > _SILENT_SECONDS)


def _refuse_another(found: Export, order: Order) -> None:
    if found.request != order.request:
        raise ConflictError("request_key: was used for another export", field="request_key")


def _take_back(store: Store, export_id: str, folder: Folder) -> None:
    """Whoever cancelled it before its manifest was there found none to take away."""
    found = export_of(store, export_id)
    if found and found.step is Step.CANCELLED:
        folder.rename(MANIFEST, _CANCELLED)


def _count(store: Store, export: Export, check: Check, items: int) -> int:
    """Every contact as an event that the contact policy counts; told twice it is one. Who was erased is not told of."""
    prepared, told = check.prepared, 0
    for name in prepared.files:
        if not prepared.folder.has(removed_name(name)):
            check.removed(store, name).close()
    at = micros(export.at)
    for contacts in contacts_in(prepared, items=items):
        for start in range(0, len(contacts), _CONTACTS_AT_ONCE):
            known = check.known(store, contacts[start : start + _CONTACTS_AT_ONCE])
            events = (_event(export.export_id, user_id, item, at, prepared.channel) for user_id, item in known)
            put_events(store, [row for one in events if (row := row_of(CAMPAIGNS, one, arrived=at, skew=0))])
            told += len(known)
    return told


def _event(export_id: str, user_id: int, item: str, at: int, channel: str) -> Mapping[str, Any]:
    return {
        "event_id": f"{export_id}/{user_id}/{item}",
        "event_time": at,
        "user_id": user_id,
        "campaign_id": f"export/{export_id}",
        "product_id": item,
        "channel": channel,
        "event_type": CampaignEvent.SENT.value,
    }
