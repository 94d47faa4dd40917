"""Streamed events in ClickHouse: stored in batches, read for many users at once, taken out for one."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.columns import EVENT_ID, EVENT_TIME, ITEM_ID, USER_ID
from data_contracts.overlay import EVENTS, EventRow
from data_contracts.overlay.rows import answers_in, spread
from sql.client import AsyncStore, Rows, Store
from sql.user_rows import USER_ROWS

USER_EVENTS = "user_events"
_MIRRORED = "user_events_v1/mirror_all"
_ITEMS_OF = "exposures_v1/items_of"
_STORED = pa.schema(
    [
        (USER_ID, pa.uint64()),
        (EVENT_TIME, pa.timestamp("us", "UTC")),
        *(field for field in EVENTS if field.name not in (USER_ID, EVENT_TIME)),
        ("last_cut_off", pa.int64()),
        ("expires_at", pa.uint32()),
    ]
)
# As statements select them, and the look-up's body has them.
_SELECTED = (USER_ID, *(name for name in EVENTS.names if name not in (USER_ID, EVENT_TIME)), EVENT_TIME)


def put_events(store: Store, rows: Iterable[EventRow]) -> None:
    """Store some events. Those that are stored already are stored again, and merge with their first copy."""
    listed = list(rows)
    columns = [list(map(attrgetter(field.name), listed)) for field in _STORED]
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, _STORED, strict=True)], schema=_STORED
    )
    store.insert(USER_EVENTS, table)


def put_alike(
    store: Store, like: EventRow, *, user_ids: NDArray[np.int64], event_ids: pa.Array, item_ids: pa.Array
) -> None:
    """Store an event of each user [N] that is like one, but for its user, id and item; `put_events` for millions."""
    own = {USER_ID: pa.array(user_ids, pa.uint64()), EVENT_ID: event_ids, ITEM_ID: item_ids}
    columns = [
        own[field.name]
        if field.name in own
        else pa.repeat(pa.scalar(getattr(like, field.name), field.type), len(user_ids))
        for field in _STORED
    ]
    store.insert(USER_EVENTS, pa.table(columns, schema=_STORED))


async def are_mirrored(store: AsyncStore) -> bool:
    """Whether what look-ups read has all events that are stored."""
    ((steps,),) = await store.few_rows("migrations_v1/has", file=_MIRRORED)
    return bool(steps)


async def events_of(store: AsyncStore, rows: Iterable[Sequence[Any]], *, cut_off: int, now: float) -> pa.Table | None:
    """What a look-up found of events, as EVENTS: those that may change an answer from a snapshot of this cut-off, in
    microseconds, and that have not expired `now`, in seconds; None for none.

    rows: a user, then the fields of an event's body in user_rows, its last cut-off and its expiry last.
    """
    kept = [row[:-2] for row in rows if row[-2] >= cut_off and row[-1] > now]
    if not kept:
        return None
    named = dict(zip(_SELECTED, zip(*kept, strict=True), strict=True))
    events = pa.table([pa.array(named[field.name], field.type) for field in EVENTS], schema=EVENTS)
    rec_ids = answers_in(named[ITEM_ID])
    if not rec_ids:
        return events
    return spread(events, await _shown(store, rec_ids))


async def _shown(store: AsyncStore, rec_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    found, item_ids = await store.few_columns(_ITEMS_OF, rec_ids=rec_ids)
    return dict(zip(found, item_ids, strict=True))


def selected_events(store: Store, name: str, /, **asked: Any) -> pa.Table:
    """What a statement that selects as the look-up's does finds, as EVENTS."""
    found = store.table(name, **asked)
    if not found.num_rows:
        return EVENTS.empty_table()
    events = found.rename_columns(list(_SELECTED)).select(EVENTS.names).cast(EVENTS)
    return with_answers(store, events)


def events_known_at(store: Store, user_id: int, *, cut_off: int, at: int, read_within: int) -> Sequence[pa.Table]:
    """What the overlay of a user may have read for an answer of a moment, as EVENTS, likeliest first; in microseconds.

    `read_within`: how long before that moment it was read at the earliest. An event that was stored meanwhile may have
    been seen or not, and then nor were those after it.
    """
    rows = store.rows("user_events_v1/as_of", user_id=user_id, cut_off=cut_off, at=at)
    unsure = sorted({stored for *_, stored in rows if stored > at - read_within}, reverse=True)
    return [
        with_answers(store, _events([event for *event, stored in rows if stored < before]))
        for before in (at + 1, *unsure)
    ]


def _events(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(_SELECTED, row, strict=True)) for row in rows], schema=EVENTS)


def with_answers(store: Store, events: pa.Table) -> pa.Table:
    """EVENTS, with those about whole answers once more for each item that was shown."""
    rec_ids = answers_in(events[ITEM_ID].to_pylist())
    if not rec_ids:
        return events
    return spread(events, {str(rec_id): item_ids for rec_id, item_ids in store.rows(_ITEMS_OF, rec_ids=rec_ids)})


def put_beat(store: Store, writer: str, *, lag_seconds: float) -> None:
    """A sign of life of a process that stores events."""
    store.run("overlay_writers_v1/put", writer=writer, lag_seconds=lag_seconds)


async def read_lag(store: AsyncStore) -> float | None:
    """Seconds that answers are behind the events; None where no writer was ever seen."""
    ((seconds,),) = await store.few_rows("overlay_writers_v1/lag")
    return None if seconds is None else float(seconds)


def erase_events(store: Store, user_id: int) -> None:
    """The text of a mutation is kept, and so the id in it, until another one has been made.

    The mirrored rows go first: who finds a person's events again after a kill takes both out.
    """
    for table in (USER_ROWS, USER_EVENTS):
        store.run(f"{table}_v1/without_user", user_id=user_id)
        store.run(f"{table}_v1/forget")


def clear_mirrored(store: Store) -> None:
    """Take out what look-ups read of all events, where all events are put anew."""
    store.run(f"{USER_ROWS}_v1/drop", snapshot_id="")


def without_held_out(store: Store, *, day: str, kept: str) -> None:
    """Take a day's hold-outs by campaigns out, but those whose ids begin with `kept`."""
    for table in (USER_ROWS, USER_EVENTS):
        store.run(f"{table}_v1/without_held_out", day=day, kept=kept)
