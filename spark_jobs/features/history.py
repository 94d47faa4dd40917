"""A user's history with offers: what was done with which item, how often and how lately, as seen from an as-of.

Belongs here: the in-memory shapes `Events` and `UserHistory`, and the pure functions that make the second from the
first. The backtest calls them on one array of events, Spark on each partition of users; nothing else computes them.
Does not: anything about items across users (`item_features`) or about candidates.
"""

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt

from data_contracts.vocabulary import CLICK_ACTIONS, Action

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# Position of an action in `Events.action`.
ACTION_CODES: dict[Action, int] = {action: code for code, action in enumerate(Action)}
# Actions that are counted together; every action counts in `count`.
ACTION_GROUPS: dict[str, tuple[Action, ...]] = {
    "view": (Action.VIEW,),
    "click": CLICK_ACTIONS,
    "buy": (Action.CART, Action.PURCHASE),
}
HALF_LIVES_HOURS: tuple[float, ...] = (1.0, 3.0, 6.0, 24.0, 168.0)
MAX_ITEMS = 200
# An item that was not met for so long is forgotten.
KEPT_HOURS = 28 * 24.0
MICROSECONDS_PER_HOUR = 3_600_000_000
# Age of what never happened: far beyond any history, yet finite, so that trees can split on it.
NEVER_HOURS = 1e5


def decayed_name(group: str, half_life: float) -> str:
    """`view_6h`: decayed count of a group's actions."""
    return f"{group}_{half_life:g}h"


STATS: tuple[str, ...] = (
    *(decayed_name(group, half_life) for group in ACTION_GROUPS for half_life in HALF_LIVES_HOURS),
    "count",
    "last_age",
    "first_age",
    "click_age",
)
# What of a history adds up over items or users; the nearest and farthest of ages do not.
NEAREST = ("last_age", "click_age")
FARTHEST = ("first_age",)
COUNTS = tuple(name for name in STATS if name not in (*NEAREST, *FARTHEST))
STAT: dict[str, int] = {name: position for position, name in enumerate(STATS)}


@dataclass(frozen=True)
class Events:
    """Offer behaviour as columns of equal length N, in any order.

    `time` is microseconds since 1970 UTC, `action` a position in `ACTION_CODES`, `weight` how much of it (≥ 0).
    """

    user_id: Longs
    item_code: Ints
    action: npt.NDArray[np.int8]
    time: Longs
    weight: Floats

    def __len__(self) -> int:
        return len(self.user_id)

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Events":
        """The events at some positions, or where a mask is true."""
        return Events(
            self.user_id[chosen], self.item_code[chosen], self.action[chosen], self.time[chosen], self.weight[chosen]
        )

    def between(self, start: int, end: int) -> "Events":
        """Events of `start` ≤ time < `end`, microseconds."""
        return self.take((self.time >= start) & (self.time < end))

    def before(self, end: int) -> "Events":
        return self.take(self.time < end)


@dataclass(frozen=True)
class UserHistory:
    """The latest items of U users, compressed by rows: user u has `indptr[u]:indptr[u + 1]`.

    user_ids int64 [U] ascending; indptr int64 [U + 1]; item_code int32 [N]; stats float32 [N, len(STATS)]. A user's
    items come latest first (then code), at most `MAX_ITEMS`. Ages in hours before the as-of.
    """

    user_ids: Longs
    indptr: Longs
    item_code: Ints
    stats: Floats

    def __len__(self) -> int:
        return len(self.user_ids)

    def column(self, name: str) -> Floats:
        return self.stats[:, STAT[name]]

    @property
    def sizes(self) -> Longs:
        """Items per user."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> Longs:
        """The user position of each (user, item) pair."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.sizes)

    @property
    def positions(self) -> Longs:
        """0 for a user's latest item, 1 for the one before it …"""
        return np.arange(len(self.item_code), dtype=np.int64) - np.repeat(self.indptr[:-1], self.sizes)

    def block(self, start: int, stop: int) -> "UserHistory":
        """Users `start` ≤ u < `stop`, without a copy of the pairs."""
        first, last = self.indptr[start], self.indptr[min(stop, len(self))]
        return UserHistory(
            self.user_ids[start:stop],
            self.indptr[start : min(stop, len(self)) + 1] - first,
            self.item_code[first:last],
            self.stats[first:last],
        )

    def for_users(self, user_ids: Longs) -> "UserHistory":
        """The same for exactly `user_ids` (ascending); who is unknown has no items."""
        at = np.minimum(np.searchsorted(self.user_ids, user_ids), max(len(self) - 1, 0))
        is_known = self.user_ids[at] == user_ids if len(self) else np.zeros(len(user_ids), dtype=bool)
        sizes = np.where(is_known, self.sizes[at], 0) if len(self) else np.zeros(len(user_ids), dtype=np.int64)
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        starts = self.indptr[:-1][at] if len(self) else np.zeros(len(user_ids), dtype=np.int64)
        pairs = np.repeat(starts - indptr[:-1], sizes) + np.arange(indptr[-1])
        return UserHistory(user_ids, indptr, self.item_code[pairs], self.stats[pairs])

    @classmethod
    def empty(cls) -> Self:
        return cls(
            np.empty(0, dtype=np.int64),
            np.zeros(1, dtype=np.int64),
            np.empty(0, dtype=np.int32),
            np.empty((0, len(STATS)), dtype=np.float32),
        )


def build_history(events: Events, *, as_of: int, max_items: int = MAX_ITEMS) -> UserHistory:
    """History of every user with an event before `as_of` (microseconds since 1970 UTC)."""
    past = events.before(as_of)
    if not len(past):
        return UserHistory.empty()
    # A total order of what differs, so that sums have the same last bits however the events came.
    past = past.take(np.lexsort((past.weight, past.action, past.time, past.item_code, past.user_id)))
    user, item = past.user_id, past.item_code
    starts = np.flatnonzero(np.r_[True, (user[1:] != user[:-1]) | (item[1:] != item[:-1])])
    stats = _run_stats(past, starts=starts, as_of=as_of)
    return _latest(user[starts], item[starts], stats, max_items=max_items)


def fold_history(
    before: UserHistory, events: Events, *, start: int, end: int, max_items: int = MAX_ITEMS
) -> UserHistory:
    """The history at `end` from the one at `start` and the events from there on, microseconds since 1970 UTC.

    What decays is multiplied, ages grow, and the day is added: as `build_history` of all events would have it, but for
    items that were forgotten in between.
    """
    added = build_history(events.between(start, end), as_of=end, max_items=len(events) + 1)
    user = np.concatenate([np.repeat(before.user_ids, before.sizes), np.repeat(added.user_ids, added.sizes)])
    item = np.concatenate([before.item_code, added.item_code])
    if not len(user):
        return UserHistory.empty()
    stats = np.concatenate([_aged(before.stats, hours=(end - start) / MICROSECONDS_PER_HOUR), added.stats])
    order = np.lexsort((item, user))
    user, item, stats = user[order], item[order], stats[order]
    starts = np.flatnonzero(np.r_[True, (user[1:] != user[:-1]) | (item[1:] != item[:-1])])
    merged = np.empty((len(starts), len(STATS)), dtype=np.float32)
    reductions = (
        (COUNTS, np.add.reduceat),
        (NEAREST, np.minimum.reduceat),
        (FARTHEST, np.maximum.reduceat),
    )
    for names, reduce_at in reductions:
        for name in names:
            merged[:, STAT[name]] = reduce_at(stats[:, STAT[name]], starts)
    is_kept = merged[:, STAT["last_age"]] <= KEPT_HOURS
    return _latest(user[starts][is_kept], item[starts][is_kept], merged[is_kept], max_items=max_items)


def _aged(stats: Floats, *, hours: float) -> Floats:
    """The same, `hours` later; what began longer ago than items are kept began that long ago."""
    aged = stats.copy()
    for group in ACTION_GROUPS:
        for half_life in HALF_LIVES_HOURS:
            aged[:, STAT[decayed_name(group, half_life)]] *= 0.5 ** (hours / half_life)
    for name in (*NEAREST, *FARTHEST):
        aged[:, STAT[name]] += np.float32(hours)
    aged[:, STAT["click_age"]] = np.minimum(aged[:, STAT["click_age"]], NEVER_HOURS)
    aged[:, STAT["first_age"]] = np.minimum(aged[:, STAT["first_age"]], KEPT_HOURS)
    return aged


def _run_stats(events: Events, *, starts: npt.NDArray[np.intp], as_of: int) -> Floats:
    """STATS of runs of events: run r is `starts[r]:starts[r + 1]`. float32 [R, len(STATS)]."""
    age = (as_of - events.time) / MICROSECONDS_PER_HOUR
    action, weight = events.action, events.weight.astype(np.float64)
    stats = np.empty((len(starts), len(STATS)), dtype=np.float32)
    decays = [0.5 ** (age / half_life) * weight for half_life in HALF_LIVES_HOURS]
    for group in ACTION_GROUPS:
        is_member = members(group)[action]
        for half_life, decay in zip(HALF_LIVES_HOURS, decays, strict=True):
            stats[:, STAT[decayed_name(group, half_life)]] = np.add.reduceat(decay * is_member, starts)
    stats[:, STAT["count"]] = np.add.reduceat(weight, starts)
    stats[:, STAT["last_age"]] = np.minimum.reduceat(age, starts)
    stats[:, STAT["first_age"]] = np.maximum.reduceat(age, starts)
    click_age = np.where(members("click")[action] | members("buy")[action], age, NEVER_HOURS)
    stats[:, STAT["click_age"]] = np.minimum.reduceat(click_age, starts)
    return stats


@cache
def members(group: str) -> npt.NDArray[np.bool_]:
    """Which action codes belong to a group: bool [number of actions]."""
    return np.array([action in ACTION_GROUPS[group] for action in Action])


def _latest(user: Longs, item: Ints, stats: Floats, *, max_items: int) -> UserHistory:
    """Order each user's items latest first and keep `max_items` of them."""
    order = np.lexsort((item, stats[:, STAT["last_age"]], user))
    user, item, stats = user[order], item[order], stats[order]
    user_ids, first, sizes = np.unique(user, return_index=True, return_counts=True)
    kept = np.arange(len(user)) - np.repeat(first, sizes) < max_items
    indptr = np.concatenate([[0], np.cumsum(np.minimum(sizes, max_items))]).astype(np.int64)
    return UserHistory(user_ids, indptr, item[kept], stats[kept])
