"""What users did, in bounded memory: decayed sums by cell and the latest items, folded forward one day at a time.

Belongs here: the in-memory shapes `Happenings` and `Behaviour`, and the pure function that makes tomorrow's state from
today's. A night folds one day, a backfill all of them: the same steps in the same order, so both give the same bits.
Does not: where events come from (`streams`), how states are stored (`behaviour_table`), what features read in them
(`cell_rows`).

A cell is (domain, group, topic): where it was done, what was done, and what it was about (an item's category, a
merchant's, a product, a product family), told as `topic_code`. Its sums are decayed: today's = 2 ** (-age / half-life)
of everything there ever was. It is dropped when nothing was added for `_KEPT_DAYS` of its domain. Of a user's items in
a domain and group the latest `MAX_ITEMS` are known, each by the moment it was last met.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from data_contracts.vocabulary import Action, CampaignEvent, Domain, ProductEvent

Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Records = npt.NDArray[np.void]

MICROS_PER_DAY = 86_400_000_000
COUNT_DAYS = (1, 7, 30)
SPEND_DAYS = (7, 30)
SUMS = (*(f"count_{days}d" for days in COUNT_DAYS), *(f"spend_{days}d" for days in SPEND_DAYS))
# Days that the bitmap of active days covers: bit n is set if there was anything n + 1 days before the as-of.
MASK_DAYS = 28
MAX_ITEMS = 200

PRODUCT_STEPS, CAMPAIGNS, SCREEN = "product_events", "campaign_interactions", "screen"
# Before the group of a bank event, so that no two kinds of event share a word.
STEP, CONTACT = "step:", "campaign:"
DOMAINS: tuple[str, ...] = (*(domain.value for domain in Domain), PRODUCT_STEPS, CAMPAIGNS)
GROUPS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [*(action.value for action in Action), SCREEN]
        + [f"{STEP}{event.value}" for event in ProductEvent]
        + [f"{CONTACT}{event.value}" for event in CampaignEvent]
    )
)
_KEPT_DAYS = np.array([400 if name in (PRODUCT_STEPS, CAMPAIGNS) else 120 for name in DOMAINS], np.int64)

CELL = np.dtype(
    [("domain", "u1"), ("group", "u1"), ("topic", "<i8"), ("sums", "<f8", len(SUMS)), ("last", "<i8"), ("mask", "<u4")]
)
ITEM = np.dtype([("domain", "u1"), ("group", "u1"), ("item", "<i8"), ("last", "<i8")])
NO_TOPIC = 0
# Codes and bytes of a stored state mean something only under the layout they were written with.
LAYOUT = blake2b(
    repr((DOMAINS, GROUPS, CELL.descr, ITEM.descr, _KEPT_DAYS.tolist(), MAX_ITEMS)).encode(), digest_size=8
).hexdigest()


@cache
def topic_code(topic: str) -> int:
    """A word of any vocabulary as a number that is the same in every process."""
    return int.from_bytes(blake2b(topic.encode(), digest_size=8).digest(), "little", signed=True)


@dataclass(frozen=True)
class Happenings:
    """Events as columns of equal length N, in any order. user: position in the block; time: microseconds since 1970.

    domain and group are positions in `DOMAINS` and `GROUPS`, topic a `topic_code` or `NO_TOPIC`, item any number that
    stands for the item, weight how much of it.
    """

    user: Longs
    time: Longs
    domain: npt.NDArray[np.uint8]
    group: npt.NDArray[np.uint8]
    topic: Longs
    item: Longs
    weight: Floats

    def between(self, start: int, end: int) -> "Happenings":
        """Events of `start` ≤ time < `end`, in a total order of what differs."""
        chosen = np.flatnonzero((self.time >= start) & (self.time < end))
        keys = (self.weight, self.item, self.topic, self.group, self.domain, self.time, self.user)
        ordered = chosen[np.lexsort([key[chosen] for key in keys])]
        return Happenings(*(getattr(self, name)[ordered] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Behaviour:
    """The state of `users` users at a moment; cells and items are sorted by user, then key.

    cell_user, item_user int64: positions in the block; cells `CELL` [N]; items `ITEM` [M].
    """

    users: int
    cell_user: Longs
    cells: Records
    item_user: Longs
    items: Records

    @classmethod
    def nothing(cls, users: int) -> Self:
        nobody = np.empty(0, np.int64)
        return cls(users, nobody, np.empty(0, CELL), nobody, np.empty(0, ITEM))


def fold_day(before: Behaviour, day: Happenings, *, start: int, end: int, max_items: int = MAX_ITEMS) -> Behaviour:
    """The state at `end` from the state at `start` and the events between (see `Happenings.between`), microseconds."""
    cell_user, cells = _merged(
        np.concatenate([before.cell_user, day.user]),
        np.concatenate([_aged(before.cells, micros=end - start), _cells_of(day, end=end)]),
        "topic",
    )
    item_user, items = _merged(
        np.concatenate([before.item_user, day.user]), np.concatenate([before.items, _items_of(day)]), "item"
    )
    is_cell, is_item = _is_kept(cells, end), _is_kept(items, end)
    item_user, items = _latest(item_user[is_item], items[is_item], most=max_items)
    return Behaviour(before.users, cell_user[is_cell], cells[is_cell], item_user, items)


def decay(age_micros: Longs | int, half_life_days: float) -> Any:
    """2 ** (-age / half-life)."""
    return np.exp2(-(np.asarray(age_micros) / MICROS_PER_DAY) / half_life_days)


def _aged(cells: Records, *, micros: int) -> Records:
    aged = cells.copy()
    aged["sums"] *= np.array([decay(micros, days) for days in (*COUNT_DAYS, *SPEND_DAYS)])
    aged["mask"] = (cells["mask"] << np.uint32(1)) & np.uint32((1 << MASK_DAYS) - 1)
    return aged


def _cells_of(day: Happenings, *, end: int) -> Records:
    """A cell an event."""
    cells = np.empty(len(day.user), CELL)
    for name in ("domain", "group", "topic"):
        cells[name] = getattr(day, name)
    decays = {days: decay(end - day.time, days) for days in COUNT_DAYS}
    counts = [decays[days] for days in COUNT_DAYS]
    cells["sums"] = np.column_stack([*counts, *(decays[days] * day.weight for days in SPEND_DAYS)])
    cells["last"], cells["mask"] = day.time, 1
    return cells


def _items_of(day: Happenings) -> Records:
    items = np.empty(len(day.user), ITEM)
    for name in ("domain", "group", "item"):
        items[name] = getattr(day, name)
    items["last"] = day.time
    return items


def place_of(user: Longs, rows: Records) -> Longs:
    """User, domain and group as one ascending number."""
    place: Longs = (user << 16) | (rows["domain"].astype(np.int64) << 8) | rows["group"]
    return place


def _merged(user: Longs, rows: Records, what: str) -> tuple[Longs, Records]:
    """One row a user and key: sums added in the order given, the latest moment, all active days."""
    if not len(user):
        return user, rows
    place = place_of(user, rows)
    order = np.lexsort((rows[what], place))
    place, rows = place[order], rows[order]
    is_first = np.r_[True, (place[1:] != place[:-1]) | (rows[what][1:] != rows[what][:-1])]
    starts = np.flatnonzero(is_first)
    merged = rows[starts].copy()
    merged["last"] = np.maximum.reduceat(rows["last"], starts)
    if "sums" in (rows.dtype.names or ()):
        merged["sums"] = np.add.reduceat(rows["sums"], starts, axis=0)
        merged["mask"] = np.bitwise_or.reduceat(rows["mask"], starts)
    return place[starts] >> 16, merged


def _is_kept(rows: Records, end: int) -> npt.NDArray[np.bool_]:
    kept: npt.NDArray[np.bool_] = rows["last"] >= end - _KEPT_DAYS[rows["domain"]] * MICROS_PER_DAY
    return kept


def _latest(user: Longs, items: Records, *, most: int) -> tuple[Longs, Records]:
    """The `most` latest of each user, domain and group; among equally late ones those with the smallest numbers."""
    place = place_of(user, items)
    _, first, sizes = np.unique(place, return_index=True, return_counts=True)
    if not len(sizes) or sizes.max() <= most:
        return user, items
    order = np.lexsort((items["item"], -items["last"], place))
    rank = np.arange(len(order)) - np.repeat(first, sizes)
    kept = np.sort(order[rank < most])
    return user[kept], items[kept]
