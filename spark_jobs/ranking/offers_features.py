"""Features of (user, offer) pairs: the one place where the ranker's input is made, in training, backtest and scoring.

A group of features is one function `(pairs) -> float32 [P, n]` and one line in `GROUPS`. NaN means "does not apply".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from spark_jobs.candidates.base import NO_ITEM, Candidates, RetrievalModel, UserBlock
from spark_jobs.candidates.item_item import item_item_scores
from spark_jobs.candidates.sources import SOURCES
from spark_jobs.features.history import STAT, STATS, Floats, Ints, Longs
from spark_jobs.features.item_features import FEATURES as ITEM_FEATURES
from spark_jobs.features.item_features import ItemFeatures

RECENT_ITEMS = 3


@dataclass(frozen=True)
class Pairs:
    """P candidate pairs of a block: rows int64 [P] (user position, ascending), codes int32 [P] (ascending in a row)."""

    block: UserBlock
    retrieval: RetrievalModel
    items: ItemFeatures
    lists: dict[str, Candidates]
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


def feature_names(n_context: int) -> list[str]:
    return [name for names, _ in GROUPS.values() for name in names] + [f"context_{n}" for n in range(n_context)]


def feature_matrix(pairs: Pairs) -> Floats:
    """float32 [P, F], columns as `feature_names`."""
    n_context = pairs.block.context.shape[1]
    matrix = np.empty((len(pairs.rows), len(feature_names(n_context))), dtype=np.float32)
    start = 0
    for names, fill in GROUPS.values():
        matrix[:, start : start + len(names)] = fill(pairs)
        start += len(names)
    matrix[:, start:] = pairs.block.context[pairs.rows]
    return matrix


USER_FEATURES = ("items", *STATS, "mean_users_share", "latest_users_share")


def _user(pairs: Pairs) -> Floats:
    """How active the user is and how popular what they meet is."""
    history = pairs.block.history
    values = np.full((len(history), len(USER_FEATURES)), np.nan, dtype=np.float32)
    some = np.flatnonzero(history.sizes)
    starts = history.indptr[:-1][some]
    values[:, 0] = history.sizes
    if len(some):
        values[some, 1 : 1 + len(STATS)] = np.add.reduceat(history.stats, starts)
        for name, pick in (("last_age", np.minimum), ("first_age", np.maximum), ("click_age", np.minimum)):
            values[some, 1 + STAT[name]] = pick.reduceat(history.column(name), starts)
        share = pairs.items.column("users_share")[history.item_code]
        values[some, -2] = np.add.reduceat(share, starts) / history.sizes[some]
        values[some, -1] = share[starts]
    filled: Floats = values[pairs.rows]
    return filled


def _item(pairs: Pairs) -> Floats:
    taken: Floats = pairs.items.values[pairs.codes]
    return taken


HISTORY_FEATURES = (*STATS, "position")


def _history(pairs: Pairs) -> Floats:
    """What the user did with the very item."""
    history = pairs.block.history
    keys = history.rows * pairs.retrieval.n_items + history.item_code
    order = np.argsort(keys, kind="stable")
    found, at = pairs.lookup(keys[order])
    values = np.full((len(pairs.rows), len(HISTORY_FEATURES)), np.nan, dtype=np.float32)
    values[found, :-1] = history.stats[order[at]]
    values[found, -1] = history.positions[order[at]]
    return values


SOURCE_FEATURES = (*(f"rank_{name}" for name in SOURCES), "als_score", "item_item_score", "popular_score")


def _sources(pairs: Pairs) -> Floats:
    values = np.full((len(pairs.rows), len(SOURCE_FEATURES)), np.nan, dtype=np.float32)
    for column, candidates in enumerate(pairs.lists.values()):
        rows, places = np.nonzero(candidates.codes != NO_ITEM)
        keys = rows * pairs.retrieval.n_items + candidates.codes[rows, places]
        order = np.argsort(keys)
        found, at = pairs.lookup(keys[order])
        values[found, column] = places[order[at]]
    n = len(SOURCES)
    factors = pairs.retrieval.item_factors[pairs.codes]
    values[:, n] = np.einsum("pd,pd->p", factors, pairs.block.vectors[pairs.rows])
    values[:, n + 1] = _at_pairs(item_item_scores(pairs.block.history, pairs.retrieval), pairs)
    values[:, n + 2] = pairs.items.column("users_share")[pairs.codes]
    return values


SIMILARITY_FEATURES = (*(f"cosine_latest_{n}" for n in range(RECENT_ITEMS)), "cosine_vector")


def _similarity(pairs: Pairs) -> Floats:
    """Cosines of the item's factors with those of the user's latest items and with the user's vector."""
    history, values = pairs.block.history, np.full((len(pairs.rows), len(SIMILARITY_FEATURES)), np.nan, np.float32)
    factors = _unit(pairs.retrieval.item_factors)
    own = factors[pairs.codes]
    for n in range(RECENT_ITEMS):
        has_item = history.sizes > n
        latest = np.where(
            has_item, history.item_code[np.minimum(history.indptr[:-1] + n, len(history.item_code) - 1)], 0
        )
        cosine = np.einsum("pd,pd->p", own, factors[latest[pairs.rows]])
        values[:, n] = np.where(has_item[pairs.rows], cosine, np.nan)
    values[:, -1] = np.einsum("pd,pd->p", own, _unit(pairs.block.vectors)[pairs.rows])
    return values


def _at_pairs(scores: csr_matrix, pairs: Pairs) -> Floats:
    """Values of a sparse [U, I] matrix at the pairs, 0 where it has none."""
    scores.sort_indices()
    rows = np.repeat(np.arange(scores.shape[0], dtype=np.int64), np.diff(scores.indptr))
    found, at = pairs.lookup(rows * pairs.retrieval.n_items + scores.indices)
    values = np.zeros(len(pairs.rows), dtype=np.float32)
    values[found] = scores.data[at]
    return values


def _unit(vectors: Floats) -> Floats:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = vectors / np.maximum(norm, np.float32(1e-9))
    return unit


GROUPS: dict[str, tuple[tuple[str, ...], Callable[[Pairs], Floats]]] = {
    "user": (tuple(f"user_{name}" for name in USER_FEATURES), _user),
    "item": (tuple(f"item_{name}" for name in ITEM_FEATURES), _item),
    "history": (tuple(f"pair_{name}" for name in HISTORY_FEATURES), _history),
    "source": (tuple(f"source_{name}" for name in SOURCE_FEATURES), _sources),
    "similarity": (tuple(f"similar_{name}" for name in SIMILARITY_FEATURES), _similarity),
}
