"""Rank fusion of sources: every source alike, which needs no training and is the ranker's yardstick, or weighted by how
long a user's history is (after Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
individual rank learning methods", 2009).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from spark_jobs.candidates.base import NO_ITEM, Candidates, best
from spark_jobs.features.history import Floats, Longs

RANK_CONSTANT = 10.0
# From so many items of history on: what each source's vote counts. The best of a grid on T-ECD's day 1295, by NDCG@10
# of users with history.
BY_LENGTH: tuple[tuple[int, Mapping[str, float]], ...] = (
    (0, {"repeat": 0.0, "item_item": 1.0, "als": 0.5, "popular": 2.0}),
    (2, {"repeat": 0.5, "item_item": 1.0, "als": 0.5, "popular": 1.0}),
    (5, {"repeat": 0.5, "item_item": 1.0, "als": 1.0, "popular": 2.0}),
    (20, {"repeat": 0.5, "item_item": 1.0, "als": 0.5, "popular": 2.0}),
)


def blend(
    lists: Sequence[Candidates], k: int, *, weights: Floats | None = None, rank_constant: float = RANK_CONSTANT
) -> Candidates:
    """Sum of weight / (constant + rank) over the lists an item is on; weights [U, lists], None for all alike."""
    n_users = len(lists[0].codes)
    width = max(int(candidates.codes.max(initial=0)) for candidates in lists) + 1
    told = np.ones((n_users, len(lists)), np.float32) if weights is None else weights
    keys, votes = [], []
    for number, candidates in enumerate(lists):
        rows, places = np.nonzero(candidates.codes != NO_ITEM)
        keys.append(rows * width + candidates.codes[rows, places])
        votes.append(told[rows, number] / (rank_constant + 1.0 + places))
    distinct, at = np.unique(np.concatenate(keys), return_inverse=True)
    scores = np.bincount(at, weights=np.concatenate(votes), minlength=len(distinct)).astype(np.float32)
    return best(distinct // width, (distinct % width).astype(np.int32), scores, n_rows=n_users, k=k)


def fused(found: Mapping[str, Candidates], sizes: Longs, k: int) -> Candidates:
    """The blend by length of history. found: source -> candidates of U users; sizes [U]: items of their histories."""
    starts = np.array([least for least, _ in BY_LENGTH])
    table = np.array([[weights[name] for name in found] for _, weights in BY_LENGTH], np.float32)
    return blend(list(found.values()), k, weights=table[np.searchsorted(starts, sizes, side="right") - 1])
