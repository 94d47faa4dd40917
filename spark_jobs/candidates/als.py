"""Matrix factorisation: items near a user's vector (Hu, Koren, Volinsky, "Collaborative Filtering for Implicit
Feedback Datasets", 2008). Factors are learned on a sample of users; every user is folded in by the exact half-step.
"""

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from spark_jobs.candidates.base import Candidates, RetrievalModel, UserBlock, best
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.features.history import Floats, UserHistory

# Users whose scores of all items are held at once: some tens of megabytes.
_USERS_AT_ONCE = 128
# Groups of items, for each one wanted, whose best scores tell what is not among the best.
_GROUPS = 8


def confidence(history: UserHistory, *, n_items: int) -> csr_matrix:
    """How surely a user wants an item, [U, I]: 1 + log2 of how often it was met."""
    strength = 1.0 + np.log2(1.0 + history.column("count"))
    shape = (len(history), n_items)
    return csr_matrix((strength.astype(np.float32), history.item_code, history.indptr), shape=shape)


def train_als(history: UserHistory, *, n_items: int, params: RetrievalParams, seed: int, threads: int) -> Floats:
    """Item factors float32 [I, d]; zero for items of fewer than `als_min_users` users."""
    users = np.bincount(history.item_code, minlength=n_items)
    with threadpool_limits(1, user_api="blas"):
        model = _model(params, seed=seed, threads=threads)
        model.fit(confidence(history, n_items=n_items), show_progress=False)
    factors: Floats = model.item_factors.astype(np.float32)
    factors[users < params.als_min_users] = 0.0
    return factors


def fold_in(history: UserHistory, *, item_factors: Floats, params: RetrievalParams) -> Floats:
    """User vectors float32 [U, d]: the half-step of ALS that solves for users, given the items."""
    if not len(history.item_code):
        return np.zeros((len(history), params.als_factors), dtype=np.float32)
    with threadpool_limits(1, user_api="blas"):
        model = _model(params, seed=0, threads=1)
        model.item_factors = item_factors
        matrix = confidence(history, n_items=len(item_factors))
        vectors: Floats = model.recalculate_user(np.arange(len(history)), matrix)
    return vectors


def segment_means(vectors: Floats, segment: npt.NDArray[np.int16], *, params: RetrievalParams) -> Floats:
    """Mean vector of each segment's users, float32 [S, d]; zero for segment 0 and for those of fewer than enough users.

    vectors float32 [U, d] and segment int16 [U] of the same users.
    """
    sizes = np.bincount(segment, minlength=1)
    sums = np.stack([np.bincount(segment, weights=column, minlength=len(sizes)) for column in vectors.T], axis=1)
    has_enough = (sizes >= params.segment_users) & (np.arange(len(sizes)) > 0)
    means: Floats = np.where(has_enough[:, None], sums / np.maximum(sizes, 1)[:, None], 0.0).astype(np.float32)
    return means


def _model(params: RetrievalParams, *, seed: int, threads: int) -> AlternatingLeastSquares:
    """Rows are solved apart, so the number of threads changes no bit; that of BLAS would."""
    return AlternatingLeastSquares(
        factors=params.als_factors,
        regularization=params.als_regularization,
        alpha=params.als_alpha,
        iterations=params.als_iterations,
        dtype=np.float32,
        random_state=seed,
        num_threads=threads,
    )


def als_candidates(block: UserBlock, model: RetrievalModel, k: int) -> Candidates:
    proposable = model.proposable
    factors = np.ascontiguousarray(model.offered_factors[proposable].T)
    parts = [Candidates(np.empty((0, k), dtype=np.int32), np.empty((0, k), dtype=np.float32))]
    for start in range(0, len(block), _USERS_AT_ONCE):
        vectors = block.vectors[start : start + _USERS_AT_ONCE]
        scores = vectors @ factors
        rows, places = np.nonzero(scores >= _lower_bound(scores, min(k, len(proposable)), is_asked=vectors.any(axis=1)))
        parts.append(best(rows, proposable[places], scores[rows, places], n_rows=len(vectors), k=k))
    return Candidates(np.concatenate([part.codes for part in parts]), np.concatenate([part.scores for part in parts]))


def _lower_bound(scores: Floats, k: int, *, is_asked: npt.NDArray[np.bool_]) -> Floats:
    """What at least k of each row's scores [U, I] reach, and not many more, [U, 1]: the k-th best of groups' best.
    Infinite for who is not asked.
    """
    if not k:
        return np.full((len(scores), 1), np.inf, dtype=np.float32)
    size = max(1, scores.shape[1] // (_GROUPS * k))
    groups = scores.shape[1] // size
    highest = scores[:, : size * groups].reshape(len(scores), size, groups).max(axis=1)
    bound = np.partition(highest, groups - k, axis=1)[:, groups - k]
    return np.where(is_asked, bound, np.float32(np.inf))[:, None]
