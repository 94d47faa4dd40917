"""What is known of offer items across users as seen from an as-of: popularity, recency, trend, click-through.

Belongs here: `ItemFeatures` and the pure functions that make it from users' histories. Histories add up, so that parts
of the users can be summed apart (`item_sums`, `+`). Popularity is a share of everything seen: a short history and a
long one, a sample of users and all of them, speak the same language.
Does not: anything about one user (`history`).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spark_jobs.features.history import (
    ACTION_GROUPS,
    HALF_LIVES_HOURS,
    NEVER_HOURS,
    STAT,
    STATS,
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
_NEAREST = (STAT["last_age"], STAT["click_age"])

FEATURES: tuple[str, ...] = (
    *(f"pop_{decayed_name(group, half_life)}" for group in ACTION_GROUPS for half_life in HALF_LIVES_HOURS),
    "users_share",
    "last_age",
    "first_age",
    *(f"trend_{half_life:g}h" for half_life in HALF_LIVES_HOURS[:-1]),
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
    """Histories added up by item: stats float64 [I, len(STATS)] (sums, nearest ages, farthest age), users int64 [I]."""

    stats: npt.NDArray[np.float64]
    users: Longs

    def __add__(self, other: "ItemSums") -> "ItemSums":
        stats = self.stats + other.stats
        stats[:, _NEAREST] = np.minimum(self.stats[:, _NEAREST], other.stats[:, _NEAREST])
        farthest = STAT["first_age"]
        stats[:, farthest] = np.maximum(self.stats[:, farthest], other.stats[:, farthest])
        return ItemSums(stats, self.users + other.users)


def item_sums(history: UserHistory, *, n_items: int) -> ItemSums:
    """The sums of some users. Nobody's items have ages of NEVER_HOURS, and 0 for the farthest."""
    stats = np.zeros((n_items, len(STATS)), dtype=np.float64)
    stats[:, _NEAREST] = NEVER_HOURS
    order = np.argsort(history.item_code, kind="stable")
    items, starts = np.unique(history.item_code[order], return_index=True)
    if len(items):
        sorted_stats = history.stats[order].astype(np.float64)
        stats[items] = np.add.reduceat(sorted_stats, starts)
        for column in _NEAREST:
            stats[items, column] = np.minimum.reduceat(sorted_stats[:, column], starts)
        farthest = STAT["first_age"]
        stats[items, farthest] = np.maximum.reduceat(sorted_stats[:, farthest], starts)
    return ItemSums(stats, np.bincount(history.item_code, minlength=n_items).astype(np.int64))


def item_features(sums: ItemSums, *, attributes: ItemAttributes) -> ItemFeatures:
    """Features of every item, met by somebody or not."""
    values = np.empty((len(attributes), len(FEATURES)), dtype=np.float32)
    for group in ACTION_GROUPS:
        for half_life in HALF_LIVES_HOURS:
            name = decayed_name(group, half_life)
            values[:, FEATURE[f"pop_{name}"]] = _log_share(sums.stats[:, STAT[name]])
    slowest = values[:, FEATURE[f"pop_{decayed_name('view', HALF_LIVES_HOURS[-1])}"]]
    for half_life in HALF_LIVES_HOURS[:-1]:
        faster = values[:, FEATURE[f"pop_{decayed_name('view', half_life)}"]]
        values[:, FEATURE[f"trend_{half_life:g}h"]] = faster - slowest
    values[:, FEATURE["users_share"]] = _log_share(sums.users.astype(np.float64))
    values[:, FEATURE["last_age"]] = sums.stats[:, STAT["last_age"]]
    values[:, FEATURE["first_age"]] = sums.stats[:, STAT["first_age"]]
    values[:, FEATURE["click_through"]] = _click_through(sums)
    values[:, FEATURE["repeats"]] = sums.stats[:, STAT["count"]] / np.maximum(sums.users, 1)
    return ItemFeatures(values, attributes)


def _click_through(sums: ItemSums) -> npt.NDArray[np.float64]:
    views = sums.stats[:, STAT[decayed_name("view", HALF_LIVES_HOURS[-1])]]
    clicks = sums.stats[:, STAT[decayed_name("click", HALF_LIVES_HOURS[-1])]]
    usual = clicks.sum() / max(views.sum(), 1.0)
    smoothed: npt.NDArray[np.float64] = (clicks + usual * _PRIOR_VIEWS) / (views + _PRIOR_VIEWS)
    return smoothed


def _log_share(amounts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    share = amounts / max(amounts.sum(), 1e-30)
    logarithm: npt.NDArray[np.float64] = np.log10(np.maximum(share, _TINY_SHARE))
    return logarithm
