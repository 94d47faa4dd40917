"""Rank fusion of sources: every source alike, which needs no training and is the ranker's yardstick, or weighted by how
long a user's history is (after Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
individual rank learning methods", 2009).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from spark_jobs.candidates.base import NO_ITEM, Candidates, best
from spark_jobs.features.history import Floats, Longs

RANK_CONSTANT = 10.0
# What each source's vote counts at so many items of history; between them it follows the logarithm, beyond the last it
# stays. Of weights drawn to equality and to their neighbours, the most drawn ones with which, left out in turn, three
# moments of T-ECD's day 1295 (history until 12:00 and 18:00 of day 1294, and 0:00) had short, middle and long histories
# level with the best single source (.0003 below at worst) or above it. What is popular is worth more on one day than on
# the next: one moment alone teaches too much of it.
LENGTHS = (1, 4, 16, 64)
BY_LENGTH: Mapping[str, tuple[float, ...]] = {
    "repeat": (0.7, 0.7, 0.7, 0.7),
    "item_item": (1.0, 1.0, 1.0, 1.0),
    "als": (0.7, 1.0, 1.0, 1.0),
    "popular": (2.0, 1.4, 2.0, 2.0),
}


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
    weights = np.stack([weights_of(name, sizes) for name in found], axis=1)
    return blend(list(found.values()), k, weights=weights)


def weights_of(source: str, sizes: Longs) -> Floats:
    """[U]: what the source's vote counts at each length of history; who has none counts as having one item."""
    length = np.log2(np.maximum(sizes, 1))
    weights: Floats = np.exp(np.interp(length, np.log2(LENGTHS), np.log(BY_LENGTH[source]))).astype(np.float32)
    return weights
