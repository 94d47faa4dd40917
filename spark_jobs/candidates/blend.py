"""Equal rank fusion: the blend of sources that needs no training, and the ranker's yardstick (Cormack, Clarke and
Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning methods", 2009).
"""

from collections.abc import Sequence

import numpy as np

from spark_jobs.candidates.base import NO_ITEM, Candidates, best

RANK_CONSTANT = 10.0


def blend(lists: Sequence[Candidates], k: int, *, rank_constant: float = RANK_CONSTANT) -> Candidates:
    """Sum of 1 / (constant + rank) over the lists an item is on, every list alike."""
    n_users = len(lists[0].codes)
    width = max(int(candidates.codes.max(initial=0)) for candidates in lists) + 1
    keys, votes = [], []
    for candidates in lists:
        rows, places = np.nonzero(candidates.codes != NO_ITEM)
        keys.append(rows * width + candidates.codes[rows, places])
        votes.append(1.0 / (rank_constant + 1.0 + places))
    distinct, at = np.unique(np.concatenate(keys), return_inverse=True)
    scores = np.bincount(at, weights=np.concatenate(votes), minlength=len(distinct)).astype(np.float32)
    return best(distinct // width, (distinct % width).astype(np.int32), scores, n_rows=n_users, k=k)
