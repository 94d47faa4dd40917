"""Features of (user, offer) pairs: the one place where the ranker's input is made, in training, backtest and scoring.

A group of features is one function `(pairs) -> float32 [P, n]` and one line in `GROUPS`. NaN means "does not apply".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from spark_jobs.candidates.base import NO_ITEM, Candidates, RetrievalModel, UserBlock, unit
from spark_jobs.candidates.blend import RANK_CONSTANT, weights_of
from spark_jobs.candidates.sources import SOURCES
from spark_jobs.features.history import FARTHEST, NEAREST, STATS, Floats, Ints, Longs
from spark_jobs.features.item_features import FEATURES as ITEM_FEATURES
from spark_jobs.features.item_features import ItemFeatures

RECENT_ITEMS = 3
# The longest half-life of a usable feature, as a share of what a training as-of can look back on.
_HALF_LIFE_SHARE = 0.75


@dataclass(frozen=True)
class Pairs:
    """P candidate pairs of a block: rows int64 [P] (user position, ascending), codes int32 [P] (ascending in a row)."""

    block: UserBlock
    retrieval: RetrievalModel
    items: ItemFeatures
    lists: Mapping[str, Candidates]
    rows: Longs
    codes: Ints

    @property
    def keys(self) -> Longs:
        """Ascending, one number a pair."""
        return self.rows * self.retrieval.n_items + self.codes

    def lookup(self, keys: Longs) -> tuple[Longs, Longs]:
        """Where ascending `keys` occur among the pairs: (positions of pairs, positions of keys)."""
        own = self.keys
        at = np.minimum(np.searchsorted(keys, own), max(len(keys) - 1, 0))
        found = np.flatnonzero(keys[at] == own) if len(keys) else np.empty(0, dtype=np.int64)
        return found, at[found]


@dataclass(frozen=True)
class Group:
    """Features that are made together. `fill` gives float32 [P, len(names)].

    grows: whether values depend on how far the data looks back (see `usable_features`).
    """

    names: tuple[str, ...]
    fill: Callable[[Pairs], Floats]
    grows: bool = False


def union(block: UserBlock, retrieval: RetrievalModel, items: ItemFeatures, *, per_source: Mapping[str, int]) -> Pairs:
    """The union of all sources' candidates."""
    lists = {name: source(block, retrieval, per_source[name]) for name, source in SOURCES.items()}
    keys = []
    for candidates in lists.values():
        rows, places = np.nonzero(candidates.codes != NO_ITEM)
        keys.append(rows * retrieval.n_items + candidates.codes[rows, places])
    distinct = np.unique(np.concatenate(keys))
    rows, codes = np.divmod(distinct, retrieval.n_items)
    return Pairs(block, retrieval, items, lists, rows, codes.astype(np.int32))


def feature_matrix(pairs: Pairs, names: Sequence[str]) -> Floats:
    """float32 [P, len(names)], columns as `names`."""
    matrix = np.empty((len(pairs.rows), len(names)), dtype=np.float32)
    column = {name: position for position, name in enumerate(names)}
    for group in GROUPS:
        wanted = [(column[name], own) for own, name in enumerate(group.names) if name in column]
        if wanted:
            into, own = zip(*wanted, strict=True)
            matrix[:, into] = group.fill(pairs)[:, own]
    return matrix


def usable_features(*, lookback_hours: float, full_hours: float) -> tuple[str, ...]:
    """Features that mean the same at a training as-of and at the night's.

    A training as-of looks back on `lookback_hours`, the night on `full_hours`. Where that differs much, sums with long
    half-lives and plain counts are larger at night than any the trees have seen, and are left out.
    """
    is_alike = lookback_hours >= _HALF_LIFE_SHARE * full_hours
    return tuple(
        name
        for group in GROUPS
        for name in group.names
        if is_alike or not group.grows or _half_life(name) <= _HALF_LIFE_SHARE * lookback_hours
    )


_UNBOUNDED = ("count", "items", "users_share", "repeats", "click_through", *FARTHEST)


def _half_life(name: str) -> float:
    """Of a feature's name, in hours: `item_trend_3h_6h` has 6; what counts without decay has an infinite one."""
    match = re.search(r"_(\d+)h$", name)
    if match:
        return float(match[1])
    return float("inf") if name.endswith(_UNBOUNDED) else 0.0


_USER = ("items", *STATS, "mean_users_share", "latest_users_share")


def _user(pairs: Pairs) -> Floats:
    """How active the user is and how popular what they meet is."""
    history = pairs.block.history
    values = np.full((len(history), len(_USER)), np.nan, dtype=np.float32)
    some = np.flatnonzero(history.sizes)
    starts = history.indptr[:-1][some]
    values[:, 0] = history.sizes
    if len(some):
        for position, name in enumerate(STATS, start=1):
            pick = np.minimum if name in NEAREST else np.maximum if name in FARTHEST else np.add
            values[some, position] = pick.reduceat(history.column(name), starts)
        share = pairs.items.column("users_share")[history.item_code]
        values[some, -2] = np.add.reduceat(share, starts) / history.sizes[some]
        values[some, -1] = share[starts]
    filled: Floats = values[pairs.rows]
    return filled


def _item(pairs: Pairs) -> Floats:
    taken: Floats = pairs.items.values[pairs.codes]
    return taken


_HISTORY = (*STATS, "position")


def _history(pairs: Pairs) -> Floats:
    """What the user did with the very item."""
    history = pairs.block.history
    keys = history.rows * pairs.retrieval.n_items + history.item_code
    order = np.argsort(keys, kind="stable")
    found, at = pairs.lookup(keys[order])
    values = np.full((len(pairs.rows), len(_HISTORY)), np.nan, dtype=np.float32)
    values[found, :-1] = history.stats[order[at]]
    values[found, -1] = history.positions[order[at]]
    return values


_SOURCES = (*(f"rank_{name}" for name in SOURCES), "als_score", "item_item_score", "fusion")
# The feature that the ranker starts from.
FUSION = "source_fusion"


def _sources(pairs: Pairs) -> Floats:
    """Ranks and scores of the sources, and the log of what their rank fusion by length of history says."""
    values = np.full((len(pairs.rows), len(_SOURCES)), np.nan, dtype=np.float32)
    for column, candidates in enumerate(pairs.lists.values()):
        rows, places = np.nonzero(candidates.codes != NO_ITEM)
        keys = rows * pairs.retrieval.n_items + candidates.codes[rows, places]
        order = np.argsort(keys)
        found, at = pairs.lookup(keys[order])
        values[found, column] = places[order[at]]
    values[:, -1] = np.log(_votes(values, pairs.block.history.sizes[pairs.rows]))
    factors = pairs.retrieval.offered_factors[pairs.codes]
    values[:, -3] = np.einsum("pd,pd->p", factors, pairs.block.vectors[pairs.rows])
    values[:, -2] = _at_pairs(pairs.block.near, pairs)
    return values


def _votes(ranks: Floats, sizes: Longs) -> Floats:
    """What `fused` gives pairs, float32 [P]. ranks [P, ...]: a column a source, NaN where the source does not name it;
    sizes [P]: items of the users' histories.
    """
    total = np.zeros(len(ranks), np.float32)
    for column, name in enumerate(SOURCES):
        total += np.nan_to_num(weights_of(name, sizes) / (RANK_CONSTANT + 1.0 + ranks[:, column]))
    return total


_SIMILARITY = (*(f"cosine_latest_{n}" for n in range(RECENT_ITEMS)), "cosine_vector")


def _similarity(pairs: Pairs) -> Floats:
    """Cosines of the item's factors with those of the user's latest items and with the user's vector."""
    history, values = pairs.block.history, np.full((len(pairs.rows), len(_SIMILARITY)), np.nan, np.float32)
    factors = pairs.retrieval.directions
    own = factors[pairs.codes]
    for n in range(RECENT_ITEMS):
        has_item = history.sizes > n
        latest = np.zeros(len(history), dtype=np.int64)
        latest[has_item] = history.item_code[history.indptr[:-1][has_item] + n]
        cosine = np.einsum("pd,pd->p", own, factors[latest[pairs.rows]])
        values[:, n] = np.where(has_item[pairs.rows], cosine, np.nan)
    values[:, -1] = np.einsum("pd,pd->p", own, unit(pairs.block.vectors)[pairs.rows])
    return values


_MATCH = ("brand", "category", "subcategory", "price")


def _match(pairs: Pairs) -> Floats:
    """Share of the user's items that are of the same brand, category, subcategory; price less their mean price."""
    history, attributes = pairs.block.history, pairs.items.attributes
    values = np.full((len(pairs.rows), len(_MATCH)), np.nan, dtype=np.float32)
    sizes = np.maximum(history.sizes, 1)
    for column, codes in enumerate((attributes.brand, attributes.category, attributes.subcategory)):
        if not (codes >= 0).any():
            continue
        width = int(codes.max()) + 1
        met, times = np.unique(history.rows * width + codes[history.item_code], return_counts=True)
        wanted = pairs.rows * width + codes[pairs.codes]
        at = np.minimum(np.searchsorted(met, wanted), len(met) - 1) if len(met) else np.zeros(len(wanted), np.int64)
        same = np.where(met[at] == wanted, times[at], 0) if len(met) else np.zeros(len(wanted))
        values[:, column] = np.where(codes[pairs.codes] >= 0, same / sizes[pairs.rows], np.nan)
    priced = np.nan_to_num(attributes.price[history.item_code])
    known = np.isfinite(attributes.price[history.item_code])
    totals = np.bincount(history.rows, weights=priced, minlength=len(history))
    counts = np.bincount(history.rows, weights=known, minlength=len(history))
    usual = np.divide(totals, counts, out=np.full(len(history), np.nan), where=counts > 0)
    values[:, -1] = attributes.price[pairs.codes] - usual[pairs.rows]
    return values


def _at_pairs(scores: csr_matrix, pairs: Pairs) -> Floats:
    """Values of a sparse [U, I] matrix, codes ascending in a row, at the pairs; 0 where it has none."""
    rows = np.repeat(np.arange(scores.shape[0], dtype=np.int64), np.diff(scores.indptr))
    found, at = pairs.lookup(rows * pairs.retrieval.n_items + scores.indices)
    values = np.zeros(len(pairs.rows), dtype=np.float32)
    values[found] = scores.data[at]
    return values


def _named(prefix: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}_{name}" for name in names)


GROUPS: tuple[Group, ...] = (
    Group(_named("user", _USER), _user, grows=True),
    Group(_named("item", ITEM_FEATURES), _item, grows=True),
    Group(_named("pair", _HISTORY), _history),
    Group(_named("source", _SOURCES), _sources),
    Group(_named("similar", _SIMILARITY), _similarity),
    Group(_named("match", _MATCH), _match),
)
FEATURES: tuple[str, ...] = tuple(name for group in GROUPS for name in group.names)
