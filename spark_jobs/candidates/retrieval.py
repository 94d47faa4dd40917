"""Fitting all candidate sources at once."""

import numpy as np
import numpy.typing as npt

from spark_jobs.candidates.als import fold_in, segment_means, train_als
from spark_jobs.candidates.base import RetrievalModel, UserBlock
from spark_jobs.candidates.cold import blended, predicted_factors
from spark_jobs.candidates.content import ItemContent
from spark_jobs.candidates.item_item import item_item_scores, neighbour_base, train_neighbours
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.popular import train_popular
from spark_jobs.features.history import Floats, UserHistory


def fit_retrieval(
    history: UserHistory,
    *,
    n_items: int,
    params: RetrievalParams,
    seed: int,
    segment: npt.NDArray[np.int16] | None = None,
    content: ItemContent | None = None,
    factors: Floats | None = None,
    threads: int = 1,
) -> RetrievalModel:
    """Learn every source from the histories of a sample of users.

    segment int16 [U], of the users of `history`; None where nothing is known of them. content: of the items.
    factors float32 [I, d]: learned earlier; then only what is counted (neighbours, popularity, means) is made anew.
    threads: change nothing but the time.
    """
    if not len(history.item_code):
        return RetrievalModel.ignorant(params, n_items=n_items)
    of_user = np.zeros(len(history), dtype=np.int16) if segment is None else segment
    neighbours, neighbour_scores = train_neighbours(history, n_items=n_items, params=params, threads=threads)
    popular, popular_scores = train_popular(history, segment=of_user, params=params)
    if factors is None:
        factors = train_als(history, n_items=n_items, params=params, seed=seed, threads=threads)
    users = np.bincount(history.item_code, minlength=n_items)
    predicted = predicted_factors(content or ItemContent(), factors, users, l2=params.content_l2)
    return RetrievalModel(
        params=params,
        item_factors=factors,
        offered_factors=blended(factors, predicted, users, strength=params.content_users),
        segment_vectors=_segment_vectors(history, factors, segment, params=params),
        neighbours=neighbours,
        neighbour_scores=neighbour_scores,
        popular=popular,
        popular_scores=popular_scores,
        neighbour_base=neighbour_base(history, neighbours, neighbour_scores, params=params),
    )


def user_block(
    history: UserHistory, model: RetrievalModel, *, segment: npt.NDArray[np.int16] | None = None
) -> UserBlock:
    """A block of users with their vectors folded in; those without history have their segment's."""
    known = np.zeros(len(history), dtype=np.int16) if segment is None else segment
    vectors = fold_in(history, item_factors=model.item_factors, params=model.params)
    # Nobody's own vector: the segment's, where it has one.
    strangers = np.flatnonzero((history.sizes == 0) & (known < len(model.segment_vectors)))
    vectors[strangers] = model.segment_vectors[known[strangers]]
    return UserBlock(history=history, vectors=vectors, near=item_item_scores(history, model), segment=known)


def _segment_vectors(
    history: UserHistory, factors: Floats, segment: npt.NDArray[np.int16] | None, *, params: RetrievalParams
) -> Floats:
    if segment is None:
        return np.zeros((1, params.als_factors), dtype=np.float32)
    return segment_means(fold_in(history, item_factors=factors, params=params), segment, params=params)
