"""Everybody's rows of a snapshot, a range of user ids at a time: what bulk readers ask for, in constant memory.

A shard is `intHash64(user_id) % shards`: shards are disjoint, and together they are everybody.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from data_contracts.columns import USER_ID
from data_contracts.vocabulary import Kind, Variant
from sql.client import Store
from sql.user_events import selected_events


@dataclass(frozen=True)
class Shard:
    """Of `shards` (from 1) the one of this number (from 0)."""

    number: int = 0
    shards: int = 1

    @property
    def parameters(self) -> Mapping[str, int]:
        return {"shard": self.number, "shards": self.shards}


ALL = Shard()


@dataclass(frozen=True)
class Rows:
    """Of at most as many users as were asked for, in order of their ids.

    `states` as `user_state` has it, a row a user; `lists`: user_id, items, scores, reasons of those who have a personal
    one; `others`: those of other variants; `events` as EVENTS, None where nothing happened.
    """

    states: pa.Table
    lists: pa.Table
    events: pa.Table | None
    others: Mapping[Variant, pa.Table] = field(default_factory=dict)


def read_rows(
    store: Store,
    snapshot_id: str,
    *,
    shard: Shard,
    kind: Kind,
    others: Iterable[Variant],
    first: int,
    most: int,
    cut_off: int,
) -> Rows | None:
    """Of the next users from id `first` on; None where there are no more. `cut_off` in microseconds.

    `others`: variants that are read besides the personal lists.
    """
    states = store.table("user_state_v1/range", snapshot_id=snapshot_id, first=first, most=most, **shard.parameters)
    if not states.num_rows:
        return None
    ends = {"first": states[USER_ID][0].as_py(), "last": states[USER_ID][-1].as_py(), **shard.parameters}
    columns = {f"{name}_column": f"{kind.value}_{name}" for name in ("items", "scores", "reasons")}
    with ThreadPoolExecutor(1, thread_name_prefix="events") as beside:
        reading = beside.submit(selected_events, store, "user_events_v1/range", cut_off=cut_off, **ends)
        lists = {
            variant: store.table("lists_v1/range", snapshot_id=snapshot_id, variant=variant.value, **columns, **ends)
            for variant in (Variant.PERSONAL, *others)
        }
        events = reading.result()
    return Rows(states, lists.pop(Variant.PERSONAL), events if events.num_rows else None, lists)


def everybodys_events(store: Store, *, cut_off: int) -> pa.Table:
    """EVENTS of all users that may change an answer from a snapshot of this cut-off, in microseconds."""
    ends = {"first": 0, "last": 2**63 - 1, **ALL.parameters}
    return selected_events(store, "user_events_v1/range", cut_off=cut_off, **ends)
