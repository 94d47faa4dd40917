"""Opens pulls: which snapshot, from where on, and whether there is room; refuses what cannot be pulled."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from api.bulk import Asked, Pull, is_too_old
from api.bulk_chunks import NOTHING
from api.changing import in_store
from api.cursors import Cursor, read_cursor
from api.refusals import BusyLaterError, GoneError, InvalidError, UnknownError
from api.service import Service
from api.serving import Snapshot
from data_contracts.errors import InputError, UnavailableError
from data_contracts.overlay.rows import micros
from data_contracts.settings import Settings
from sql.client import Address, Store
from sql.pointer import moves
from sql.states import State, state_of

CURRENT = "current"
_ANEW = "pull again without a cursor, on the current snapshot"


async def opened(
    service: Service, settings: Settings, asked: Asked, *, snapshot: str = CURRENT, cursor: str = ""
) -> Pull:
    """Raises RefusalError: 422 for a cursor of another pull, 404 and 410 for snapshots that are not there (any more).

    Raises UnavailableError.
    """
    at = _cursor(asked, cursor, settings, service) if cursor else None
    snapshot_id = at.snapshot_id if at else service.watch.serving.snapshot_id if snapshot == CURRENT else snapshot
    if at and snapshot not in (CURRENT, snapshot_id):
        raise InvalidError(f"snapshot: the cursor goes on with {snapshot_id}", field="snapshot")
    if not service.watch.is_up or not snapshot_id:
        raise UnavailableError(service.watch.outage or "no snapshot is published")
    return Pull(
        asked,
        await _snapshot(service, settings, snapshot_id, is_again=at is not None),
        service.watch,
        Address.of(settings),
        settings.signing_key,
        began=at.began if at else micros(service.clock()),
        chunk_users=settings.lists_chunk_users,
        first=at.first if at else 0,
        totals=at.totals if at else NOTHING,
    )


def _cursor(asked: Asked, text: str, settings: Settings, service: Service) -> Cursor:
    try:
        cursor = read_cursor(text, settings.signing_key)
    except InputError as error:
        raise InvalidError(str(error), field="cursor") from error
    if cursor.asked != asked.digest:
        raise InvalidError("cursor: of a pull that asked for something else: repeat its parameters", field="cursor")
    if is_too_old(cursor, now=service.clock(), hours=settings.lists_cursor_hours):
        raise GoneError(
            f"cursor: its pull began more than {settings.lists_cursor_hours:g} hours ago: {_ANEW}", field="cursor"
        )
    return cursor


async def _snapshot(service: Service, settings: Settings, snapshot_id: str, *, is_again: bool) -> Snapshot:
    served = service.watch.serving.snapshot
    if served.is_whole and served.snapshot_id == snapshot_id:
        return served

    def is_held(store: Store) -> bool:
        is_published = any(move.snapshot_id == snapshot_id for move in moves(store))
        return is_published and state_of(store, snapshot_id) is State.VERIFIED

    if not await in_store(settings, is_held, seconds=10):
        if is_again:
            raise GoneError(f"cursor: snapshot {snapshot_id} is no longer in ClickHouse: {_ANEW}", field="cursor")
        raise UnknownError(f"snapshot: {snapshot_id} is not held, or was never published", field="snapshot")
    items, fallback = await asyncio.gather(
        service.store.snapshot_items(snapshot_id), service.store.fallback_lists(snapshot_id)
    )
    return Snapshot(snapshot_id, items, fallback, is_whole=True)


class Slots:
    """How many pulls may run at once: each takes a good part of a core."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Raises BusyLaterError."""
        if self._running >= self._most:
            raise BusyLaterError(f"{self._most} pulls of lists are running", retry_after_seconds=30)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


async def in_threads(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each part made in a thread, when the one before has been taken."""
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part
