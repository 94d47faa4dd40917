"""Exports of lists: asked for once by a key, written in the background, confirmed when they are sent.

Their book is in ClickHouse, so that any replica tells where one stands. A replica that writes one says so every few
seconds; where it falls silent, the same request begins it anew.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, Any
from uuid import uuid4

import numpy as np
import orjson
import pyarrow as pa

from api.bulk import Pull
from api.export_check import Check, Prepared, contacts_in, removed_name
from api.export_files import MANIFEST, Folder, StoppedError
from api.export_writing import BEING_WRITTEN, Order, Writing, send_items, take_back
from api.pulls import opened
from api.refusals import BusyLaterError, ConflictError, GoneError, UnknownError
from api.sendings import Sendings, refuse_another
from api.service import Service
from data_contracts.errors import RecsError
from data_contracts.overlay.rows import micros
from sql.client import Address, Store, connected
from sql.exports import Export, Step

_LOG = logging.getLogger("recs.api")

_SILENT_SECONDS = 30
_MOST_AT_ONCE = 2
_CONTACTS_AT_ONCE = 1_000


@dataclass
class Exports(Sendings):
    """Those that this process writes, each with what ends it."""

    what: str = "export"
    running: dict[str, threading.Event] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

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

    async def sent(self, service: Service, export_id: str, *, actor: str, items: int | None) -> Export:
        """Counts what was sent as contacts: the first `items` of each list, None for as many as were ordered.

        What a check took out is not counted; a part that nobody had checked is checked now.
        """

        def told(found: Export) -> Mapping[str, Any]:
            said = found.told.get("sent_items")
            if items and said and items != said:
                raise ConflictError(f"items: {said} of a list were confirmed", field="items")
            return {"sent_items": said or items or send_items(found.request)}

        async def count(found: Export) -> int:
            with _still_there():
                check = Check(service.watch, await asyncio.to_thread(self._read, found, MANIFEST))
                return await self._with(lambda store: _count(store, found, check, found.told["sent_items"]))

        return await self.confirmed(export_id, actor=actor, told=told, count=count)

    async def part(self, service: Service, export_id: str, name: str) -> IO[bytes]:
        """A part of what was not sent yet, as it may be sent now. Raises UnknownError, ConflictError."""
        prepared = await self._prepared(await self._known(export_id), "only what is written can be pulled")
        if name not in prepared.files:
            raise UnknownError(f"the export has no file {name}: its files are {', '.join(prepared.files)}")
        with _still_there():
            return await self._with(lambda store: Check(service.watch, prepared).part(store, name))

    async def removed(self, service: Service, export_id: str) -> Sequence[IO[bytes]]:
        """What may not be sent of it any more, part by part, as lines of CSV. Raises UnknownError, ConflictError."""
        prepared = await self._prepared(await self._known(export_id), "only what is written can be checked")
        check = Check(service.watch, prepared)
        with _still_there():
            return await self._with(lambda store: [check.removed(store, name) for name in prepared.files])

    async def _prepared(self, found: Export, why_not: str) -> Prepared:
        """Raises ConflictError where it is not written, or more than that."""
        if found.step is not Step.WRITTEN:
            raise ConflictError(f"the export is {found.step}: {why_not}")
        with _still_there():
            return await asyncio.to_thread(self._read, found, MANIFEST)

    def _read(self, found: Export, name: str) -> Prepared:
        return _prepared_in(self.folder(found.export_id), name, found.request)

    async def cancel(self, export_id: str, *, actor: str) -> Export:
        """Its manifest is taken away, and what it reserved is given back."""
        told = await self.taken_back(export_id, actor=actor)
        if export_id in self.running:
            self.running[export_id].set()
        await self._with(lambda store: take_back(store, told, self.folder(export_id)))
        return told

    async def stop(self) -> None:
        """What is being written is left without a manifest."""
        for ended in self.running.values():
            ended.set()
        await asyncio.gather(*self.tasks)

    def folder(self, export_id: str) -> Folder:
        return Folder(self.settings.exports_uri).at(export_id)

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
        with connected(Address.of(self.settings)) as store:
            hold = timedelta(days=self.settings.exports_hold_days)
            Writing(store, self.folder(order.export_id), order, attempt, ended, hold).run(pull)


def _is_left(found: Export) -> bool:
    """Nobody writes it any more, and it is not whole."""
    return found.step is Step.FAILED or (found.step in BEING_WRITTEN and found.seconds_ago > _SILENT_SECONDS)


def _refuse_another(found: Export, order: Order) -> None:
    refuse_another(is_same=found.request == order.request, field="request_key", what="export")


def _prepared_in(folder: Folder, name: str, request: Mapping[str, Any]) -> Prepared:
    with folder.read(name) as opened:
        return Prepared.of(folder, orjson.loads(opened.read()), request)


@contextlib.contextmanager
def _still_there() -> Iterator[None]:
    """Raises GoneError where somebody took the files away behind our back."""
    try:
        yield
    except FileNotFoundError as error:
        raise GoneError("the export's files are gone from their folder: order it again with another key") from error


def _count(store: Store, export: Export, check: Check, items: int) -> int:
    """Every contact as an event that the contact policy counts; told twice it is one. Who was erased is not told of.

    What was reserved for others, such as those who were taken out, is given back.
    """
    prepared, told = check.prepared, 0
    for name in prepared.files:
        if not prepared.folder.has(removed_name(name)):
            check.removed(store, name).close()
    at = micros(export.at)
    for contacts in contacts_in(prepared, items=items):
        for start in range(0, len(contacts), _CONTACTS_AT_ONCE):
            known = check.known(store, contacts[start : start + _CONTACTS_AT_ONCE])
            users = np.array([user_id for user_id, _ in known], np.int64)
            prepared.contacts.count(store, users, pa.array([item for _, item in known], pa.string()), at=at)
            told += len(known)
    prepared.contacts.give_back(store, at=at)
    return told
