"""The users of each product, best first: made of a snapshot's lists, read page by page with what the policy needs."""

from dataclasses import dataclass

import pyarrow as pa

from sql.client import Store
from sql.staging import begin_staging
from sql.states import snapshot_states
from sql.user_events import selected_events

FEWEST, SHARE = 100_000, 20  # kept of each product: so many, and one in so many of all users


def fill_pool(store: Store, snapshot_id: str, *, users: int) -> None:
    """Of the loaded lists. Safe to run again; it replaces its own partition."""
    begin_staging(store, table="audience_pool", snapshot_id=snapshot_id)
    store.run("audience_pool_v1/fill", snapshot_id=snapshot_id, most=max(FEWEST, -(-users // SHARE)))
    if store.rows("load/parts", table="audience_pool_staging", snapshot_id=snapshot_id)[0][0]:
        store.run("audience_pool_v1/replace", snapshot_id=snapshot_id)
        store.run("audience_pool_v1/unstage", snapshot_id=snapshot_id)
    else:
        drop_pool(store, snapshot_id)


def drop_pool(store: Store, snapshot_id: str) -> None:
    store.run("audience_pool_v1/drop", snapshot_id=snapshot_id)


@dataclass(frozen=True)
class Place:
    """Of the last user that was read; scores as stored. The first page comes after `Place()`."""

    shortfall: int = 0
    user_id: int = 0


@dataclass(frozen=True)
class Pool:
    """A product's users of one snapshot and variant, down to a stored score."""

    snapshot_id: str
    variant: str
    item: int
    least_score: int
    cut_off: int  # of the events to read, microseconds

    def page(self, store: Store, after: Place | None, *, most: int) -> "Page | None":
        """The next users; None where there are no more. Who they are is found once, then read up to the last."""
        start = after or Place()
        begin = {
            "snapshot_id": self.snapshot_id,
            "variant": self.variant,
            "item": self.item,
            "after_short": start.shortfall,
            "after_user": start.user_id,
        }
        users = store.table("audience_pool_v1/page", **begin, most_short=65_535 - self.least_score, most=most)
        if not users.num_rows:
            return None
        last = users.slice(users.num_rows - 1).to_pylist()[0]
        ends = {**begin, "last_short": last["shortfall"], "last_user": last["user_id"]}
        return Page(
            users=users,
            states=store.table("audience_pool_v1/states", **ends),
            events=selected_events(store, "audience_pool_v1/events", **ends, cut_off=self.cut_off),
        )


@dataclass(frozen=True)
class Page:
    """`users`: user_id and shortfall, best first; `states` and `events` of them, in any order."""

    users: pa.Table
    states: pa.Table
    events: pa.Table


def ensure_pool(store: Store, snapshot_id: str) -> None:
    """Make it where it is not there; two that do so at once may leave users twice, side by side."""
    if store.rows("audience_pool_v1/count", snapshot_id=snapshot_id)[0][0]:
        return
    for entry in snapshot_states(store):
        if entry.snapshot_id == snapshot_id and entry.manifest.tables["lists"].rows:
            fill_pool(store, snapshot_id, users=entry.manifest.tables["user_state"].rows)
