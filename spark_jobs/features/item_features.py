"""What is known of offer items across users as seen from an as-of: popularity, recency, trend, click-through.

Belongs here: `ItemFeatures` and the pure functions that make it from users' histories. Histories add up, so that
parts of the users can be summed apart (`item_sums`). Popularity is a share of everything seen: a short history and a
long one, a sample of users and all of them, speak the same language.
Does not: anything about one user (`history`).
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spark_jobs.features.history import (
    ACTION_GROUPS,
    COUNTS,
    FARTHEST,
    HALF_LIVES_HOURS,
    NEAREST,
    NEVER_HOURS,
    Floats,
    Ints,
    Longs,
    UserHistory,
    decayed_name,
)

# Floor of a popularity share, so that its logarithm exists.
_TINY_SHARE = 1e-8
# Strength of the pull of an item's click-through towards everybody's.
_PRIOR_VIEWS = 20.0
# Counts are summed as whole numbers of this fraction, so that no order of summation changes a bit.
COUNT_UNIT = 2.0**20


def trend_name(fast: float, slow: float) -> str:
    """`trend_1h_3h`: by how many powers of ten an item's share of views lately exceeds that of before."""
    return f"trend_{fast:g}h_{slow:g}h"


FEATURES: tuple[str, ...] = (
    *(f"pop_{decayed_name(group, half_life)}" for group in ACTION_GROUPS for half_life in HALF_LIVES_HOURS),
    "users_share",
    "last_age",
    "first_age",
    *(trend_name(*pair) for pair in pairwise(HALF_LIVES_HOURS)),
    "click_through",
    "repeats",
)
FEATURE: dict[str, int] = {name: position for position, name in enumerate(FEATURES)}


@dataclass(frozen=True)
class ItemAttributes:
    """Descriptions of I items as codes, -1 where unknown: brand, category, subcategory int32 [I]; price float32 [I].

    An unknown price is NaN.
    """

    brand: Ints
    category: Ints
    subcategory: Ints
    price: Floats

    def __len__(self) -> int:
        return len(self.brand)

    @staticmethod
    def unknown(n_items: int) -> "ItemAttributes":
        nothing = np.full(n_items, -1, dtype=np.int32)
        return ItemAttributes(nothing, nothing, nothing, np.full(n_items, np.nan, dtype=np.float32))


@dataclass(frozen=True)
class ItemFeatures:
    """values float32 [I, len(FEATURES)], row = item code. Logarithms of shares, ages in hours."""

    values: Floats
    attributes: ItemAttributes = field(repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> Floats:
        return self.values[:, FEATURE[name]]


@dataclass(frozen=True)
class ItemSums:
    """Histories added up by item. users int64 [I]; counts int64 [I, len(COUNTS)] in units of 1 / COUNT_UNIT.

    nearest float64 [I, len(NEAREST)] and farthest float64 [I, len(FARTHEST)]: extreme ages in hours; NEVER_HOURS and 0
    where nobody met the item.
    """

    users: Longs
    counts: Longs
    nearest: npt.NDArray[np.float64]
    farthest: npt.NDArray[np.float64]

    @staticmethod
    def nothing(n_items: int) -> "ItemSums":
        return ItemSums(
            users=np.zeros(n_items, dtype=np.int64),
            counts=np.zeros((n_items, len(COUNTS)), dtype=np.int64),
            nearest=np.full((n_items, len(NEAREST)), NEVER_HOURS),
            farthest=np.zeros((n_items, len(FARTHEST))),
        )

    def count(self, name: str) -> npt.NDArray[np.float64]:
        return self.counts[:, COUNTS.index(name)] / COUNT_UNIT

    def add(self, history: UserHistory) -> None:
        """Add some users, in place."""
        order = np.argsort(history.item_code, kind="stable")
        items, starts = np.unique(history.item_code[order], return_index=True)
        if not len(items):
            return
        self.users[items] += np.diff(np.append(starts, len(order)))
        for column, name in enumerate(COUNTS):
            whole = np.rint(history.column(name)[order].astype(np.float64) * COUNT_UNIT).astype(np.int64)
            self.counts[items, column] += np.add.reduceat(whole, starts)
        for column, name in enumerate(NEAREST):
            ages = np.minimum.reduceat(history.column(name)[order], starts)
            self.nearest[items, column] = np.minimum(self.nearest[items, column], ages)
        for column, name in enumerate(FARTHEST):
            ages = np.maximum.reduceat(history.column(name)[order], starts)
            self.farthest[items, column] = np.maximum(self.farthest[items, column], ages)


def item_sums(history: UserHistory, *, n_items: int) -> ItemSums:
    """The sums of some users."""
    sums = ItemSums.nothing(n_items)
    sums.add(history)
    return sums


def item_features(sums: ItemSums, *, attributes: ItemAttributes) -> ItemFeatures:
    """Features of every item, met by somebody or not."""
    values = np.empty((len(attributes), len(FEATURES)), dtype=np.float32)
    for group in ACTION_GROUPS:
        for half_life in HALF_LIVES_HOURS:
            name = decayed_name(group, half_life)
            values[:, FEATURE[f"pop_{name}"]] = _log_share(sums.count(name))
    for fast, slow in pairwise(HALF_LIVES_HOURS):
        faster, slower = (values[:, FEATURE[f"pop_{decayed_name('view', half_life)}"]] for half_life in (fast, slow))
        values[:, FEATURE[trend_name(fast, slow)]] = faster - slower
    values[:, FEATURE["users_share"]] = _log_share(sums.users.astype(np.float64))
    values[:, FEATURE["last_age"]] = sums.nearest[:, NEAREST.index("last_age")]
    values[:, FEATURE["first_age"]] = sums.farthest[:, 0]
    values[:, FEATURE["click_through"]] = _click_through(sums)
    values[:, FEATURE["repeats"]] = sums.count("count") / np.maximum(sums.users, 1)
    return ItemFeatures(values, attributes)


def _click_through(sums: ItemSums) -> npt.NDArray[np.float64]:
    views = sums.count(decayed_name("view", HALF_LIVES_HOURS[-1]))
    clicks = sums.count(decayed_name("click", HALF_LIVES_HOURS[-1]))
    usual = clicks.sum() / max(views.sum(), 1.0)
    smoothed: npt.NDArray[np.float64] = (clicks + usual * _PRIOR_VIEWS) / (views + _PRIOR_VIEWS)
    return smoothed


def _log_share(amounts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    share = amounts / max(amounts.sum(), 1e-30)
    logarithm: npt.NDArray[np.float64] = np.log10(np.maximum(share, _TINY_SHARE))
    return logarithm
