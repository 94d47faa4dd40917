"""One attempt at an export: its parts, what it reserves, and its manifest, as long as no other one is begun."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from api.bulk import Asked, Pull
from api.export_check import Prepared
from api.export_files import MANIFEST, Folder, StoppedError, short_name, write_export
from api.sendings import id_of
from data_contracts.overlay.rows import micros
from sql.client import Store
from sql.contacts import Contacts
from sql.exports import Export, Step, export_of, put_step

_BEAT_SECONDS = 5.0
_CANCELLED = "cancelled.json"
BEING_WRITTEN = (Step.ASKED, Step.RUNNING)


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
        return id_of(self.actor, self.key, digits=24)


@dataclass
class Writing:
    """`ended` is set where somebody ends it; `hold`: how long its contacts are reserved."""

    store: Store
    folder: Folder
    order: Order
    attempt: str
    ended: threading.Event
    hold: timedelta
    beat: float = field(default=0.0, init=False)

    def run(self, pull: Pull) -> None:
        """Raises StoppedError when it was ended, or another attempt was begun."""
        self._go_on(0)
        try:
            manifest = write_export(
                pull,
                self.folder,
                attempt=self.attempt,
                partitions=self.order.partitions,
                has_bom=self.order.has_bom,
                about={"export_id": self.order.export_id, "request": self.order.request},
                go_on=self._go_on,
                ready=self._ready,
                whose=lambda: found.attempt if (found := self._found()) else "",
            )
            files = manifest["files"]
            told = {name: manifest[name] for name in ("snapshot_id", "users", "lists", "items")}
            told |= {"files": [short_name(file["name"]) for file in files], "bytes": sum(one["bytes"] for one in files)}
            self._put(Step.WRITTEN, told)
        finally:
            found = self._found()
            if found and found.step is Step.CANCELLED:  # by somebody who found less to take back than there is now
                take_back(self.store, found, self.folder)

    def _found(self) -> Export | None:
        return export_of(self.store, self.order.export_id)

    def _put(self, step: Step, told: Mapping[str, Any]) -> None:
        put_step(self.store, self.order.export_id, step, actor=self.order.actor, request={}, told=told)

    def _still_wanted(self) -> None:
        found = self._found()
        is_mine = found and found.attempt == self.attempt and found.step in (*BEING_WRITTEN, Step.FAILED)
        if self.ended.is_set() or not is_mine:
            raise StoppedError

    def _go_on(self, users: int) -> None:
        if self.ended.is_set():
            raise StoppedError
        if time.monotonic() - self.beat < _BEAT_SECONDS:
            return
        self.beat = time.monotonic()
        self._still_wanted()
        self._put(Step.RUNNING, {"users": users})

    def _ready(self, manifest: Mapping[str, Any]) -> None:
        """Reserves what will be sent, where being listed is that: nobody else gives these users more than they may get.

        What the manifest tells is not taken by anybody before it is reserved.
        """
        prepared = Prepared.of(self.folder, manifest, self.order.request)
        if prepared.is_to_be_sent:
            for users in self._reserved(prepared):
                self._go_on(users)
        self._still_wanted()

    def _reserved(self, prepared: Prepared) -> Iterator[int]:
        """Tells the users so far."""
        now, users = datetime.now(UTC), 0
        at, until = micros(now), micros(now + self.hold)
        for name in prepared.files:
            for block in prepared.blocks(name):
                first = block.where(block.places < send_items(self.order.request))
                prepared.contacts.reserve(self.store, first.user_ids, first.item_ids, at=at, until=until)
                users += len(block.starts)
                yield users


def send_items(request: Mapping[str, Any]) -> int:
    """How many of each list will be sent; an order that does not say so means one."""
    return int(request.get("send_items", 1))


def take_back(store: Store, cancelled: Export, folder: Folder) -> None:
    """Its manifest goes, if there is one yet, and what it reserved is given back. Twice is once."""
    folder.rename(MANIFEST, _CANCELLED)
    Contacts(cancelled.export_id, cancelled.request["channel"]).give_back(store, at=micros(cancelled.at))
