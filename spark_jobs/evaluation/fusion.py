"""Fusion whose weights are learned: what each source's vote counts, from lists and from what was met after them."""

from collections.abc import Sequence

import numpy as np

from spark_jobs.candidates.base import Candidates
from spark_jobs.candidates.blend import blend
from spark_jobs.evaluation.metrics import Relevant, ndcg
from spark_jobs.features.history import Floats

GRID = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_ROUNDS = 2


def learned_weights(lists: Sequence[Candidates], relevant: Relevant, *, k: int) -> Floats:
    """What each list's vote counts, float32 [lists], by coordinate ascent of NDCG@k.

    It begins with the best of every source alone and all alike, so that on what it is learned from it is never below
    either. Sources whose lists are all empty stay as they begin.
    """
    has_any = np.flatnonzero([bool(one.sizes.any()) for one in lists])

    def worth(weights: Floats) -> float:
        codes = blend(lists, k, weights=np.tile(weights, (relevant.n_users, 1))).codes
        return float(np.nanmean(ndcg(relevant.hits(codes), relevant.sizes)))

    alone = np.eye(len(lists), dtype=np.float32)
    best: Floats = max([*alone[has_any], np.ones(len(lists), dtype=np.float32)], key=worth)
    for number in np.tile(has_any, _ROUNDS):
        tried = [np.where(alone[number] > 0, np.float32(weight), best) for weight in GRID]
        best = max([best, *(weights for weights in tried if weights.any())], key=worth)
    return best
