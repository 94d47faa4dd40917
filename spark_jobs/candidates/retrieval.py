"""Fitting all candidate sources at once."""

import numpy as np
import numpy.typing as npt

from spark_jobs.candidates.als import fold_in, train_als
from spark_jobs.candidates.base import RetrievalModel, RetrievalParams, UserBlock
from spark_jobs.candidates.item_item import train_neighbours
from spark_jobs.candidates.popular import train_popular
from spark_jobs.features.history import UserHistory


def fit_retrieval(
    history: UserHistory,
    *,
    n_items: int,
    params: RetrievalParams,
    seed: int,
    segment: npt.NDArray[np.int16] | None = None,
) -> RetrievalModel:
    """Learn every source from the histories of a sample of users.

    segment int16 [U], of the users of `history`; None where nothing is known of them.
    """
    if not len(history.item_code):
        return RetrievalModel.ignorant(params, n_items=n_items)
    of_user = np.zeros(len(history), dtype=np.int16) if segment is None else segment
    neighbours, neighbour_scores = train_neighbours(history, n_items=n_items, params=params)
    popular, popular_scores = train_popular(history, segment=of_user, params=params)
    return RetrievalModel(
        params=params,
        item_factors=train_als(history, n_items=n_items, params=params, seed=seed),
        neighbours=neighbours,
        neighbour_scores=neighbour_scores,
        popular=popular,
        popular_scores=popular_scores,
    )


def user_block(
    history: UserHistory, model: RetrievalModel, *, segment: npt.NDArray[np.int16] | None = None
) -> UserBlock:
    """A block of users with their vectors folded in."""
    nobody = np.zeros(len(history), dtype=np.int16)
    return UserBlock(
        history=history,
        vectors=fold_in(history, item_factors=model.item_factors, params=model.params),
        segment=nobody if segment is None else segment,
    )
