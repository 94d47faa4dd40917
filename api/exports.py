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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

import orjson

from api.bulk import Asked, Pull
from api.changing import in_store
from api.export_check import Check, Prepared, contacts_in, removed_name
from api.export_files import MANIFEST, Folder, StoppedError, write_export
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

    async def ask(self, service: Service, order: Order) -> Export:
        """Begins it, unless it was asked for before. Raises ConflictError where the key was used for another."""
        found = await self.look(order.export_id)
        if found and found.request != order.request:
            raise ConflictError("request_key: was used for another export", field="request_key")
        is_silent = found is None or found.seconds_ago > _SILENT_SECONDS or found.step is Step.FAILED
        is_begun = found and (found.step not in (Step.ASKED, Step.RUNNING, Step.FAILED) or not is_silent)
        if found and (is_begun or order.export_id in self.running):
            return found
        if len(self.running) >= _MOST_AT_ONCE:
            raise BusyLaterError(f"{_MOST_AT_ONCE} exports are being written", retry_after_seconds=30)
        ended = self.running[order.export_id] = threading.Event()
        try:
            pull = await opened(service, self.settings, order.asked, snapshot=order.snapshot)
            begun = await self._put(order.export_id, Step.ASKED, order.actor, order.request, {})
        except BaseException:
            del self.running[order.export_id]
            raise
        task = asyncio.create_task(self._write(order, pull, ended))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return begun

    async def look(self, export_id: str) -> Export | None:
        return await self._with(lambda store: export_of(store, export_id))

    async def sent(self, service: Service, export_id: str, *, actor: str, items: int) -> Export:
        """Counts what was sent as contacts: the first `items` of each list. The same again changes nothing.

        What a check took out is not counted; a part that nobody had checked is checked now.
        """
        found = await self._known(export_id)
        if found.step is Step.SENT:
            if found.told["sent_items"] != items:
                raise ConflictError(f"items: {found.told['sent_items']} of a list were confirmed", field="items")
            return found
        prepared = await self._prepared(found, "only what is written can have been sent")
        check = Check(service.watch, prepared)
        contacts = await self._with(lambda store: _count(store, found, check, items))
        return await self._put(export_id, Step.SENT, actor, {}, {"sent_items": items, "contacts": contacts})

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

    async def _prepared(self, found: Export, why_not: str) -> Prepared:
        if found.step is not Step.WRITTEN:
            raise ConflictError(f"the export is {found.step}: {why_not}")
        folder = self.folder(found.export_id)

        def read() -> Prepared:
            with folder.read(MANIFEST) as opened:
                return Prepared.of(folder, orjson.loads(opened.read()), found.request)

        return await asyncio.to_thread(read)

    async def cancel(self, export_id: str, *, actor: str) -> Export:
        """Its manifest is taken away; nothing of it counts as sent."""
        found = await self._known(export_id)
        if found.step is Step.CANCELLED:
            return found
        if found.step is Step.SENT:
            raise ConflictError("the export was sent: it cannot be cancelled")
        told = await self._put(export_id, Step.CANCELLED, actor, {}, {})
        if export_id in self.running:
            self.running[export_id].set()
        await asyncio.to_thread(self.folder(export_id).rename, MANIFEST, "cancelled.json")
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

    async def _write(self, order: Order, pull: Pull, ended: threading.Event) -> None:
        try:
            await asyncio.to_thread(self._written, order, pull, ended)
        except StoppedError:
            _LOG.info("export %s was stopped", order.export_id)
        except Exception as error:
            _LOG.exception("export %s failed", order.export_id)
            why = str(error) if isinstance(error, RecsError | OSError) else "an error nobody foresaw"
            with contextlib.suppress(RecsError):  # then it falls silent
                await self._put(order.export_id, Step.FAILED, order.actor, {}, {"why": why})
        finally:
            del self.running[order.export_id]

    def _written(self, order: Order, pull: Pull, ended: threading.Event) -> None:
        beats = [0.0]
        with connected(Address.of(self.settings)) as store:

            def put(step: Step, told: Mapping[str, Any]) -> None:
                put_step(store, order.export_id, step, actor=order.actor, request={}, told=told)

            def go_on(users: int) -> None:
                if ended.is_set():
                    raise StoppedError
                if time.monotonic() - beats[0] < _BEAT_SECONDS:
                    return
                beats[0] = time.monotonic()
                found = export_of(store, order.export_id)
                if found and found.step is Step.CANCELLED:
                    raise StoppedError
                put(Step.RUNNING, {"users": users})

            go_on(0)
            manifest = write_export(
                pull,
                self.folder(order.export_id),
                partitions=order.partitions,
                has_bom=order.has_bom,
                about={"export_id": order.export_id, "request": order.request},
                go_on=go_on,
            )
            told = {name: manifest[name] for name in ("snapshot_id", "users", "lists", "items")}
            files = manifest["files"]
            size = sum(file["bytes"] for file in files)
            put(Step.WRITTEN, told | {"files": [file["name"] for file in files], "bytes": size})

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
