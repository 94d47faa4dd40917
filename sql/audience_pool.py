"""The users of each product, best first, as the night leaves them: read page by page with what the policy needs."""

from dataclasses import dataclass

import pyarrow as pa

from sql.client import Store
from sql.user_events import selected_events


@dataclass(frozen=True)
class Place:
    """Of the last user that was read; shortfall as stored. The first page comes after `Place()`."""

    shortfall: int = 0
    user_id: int = 0


@dataclass(frozen=True)
class Pool:
    """A product's users of one snapshot and variant whose stored score is not less."""

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
            "least_score": self.least_score,
            "after_short": start.shortfall,
            "after_user": start.user_id,
        }
        users = store.table("audience_pool_v1/page", **begin, most=most)
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
    """`users`: user_id, shortfall and score, best first; `states` and `events` of them, in any order."""

    users: pa.Table
    states: pa.Table
    events: pa.Table
