"""Item-item: what others met together with a user's items (Deshpande and Karypis, "Item-based top-N recommendation
algorithms", 2004). Popularity is discounted by an exponent, weakly: strong cosine normalisation ruins exposure logs.
So may be those who meet much, whose every two items say little (theirs too: rows of equal length). An item is its own
neighbour.

`neighbours_of="met"`: what a user met speaks for its own neighbours, however many others an item is near to.
"proposed": an item is proposed by those of its own neighbours that were met (Sarwar and others, "Item-based
collaborative filtering recommendation algorithms", 2001), so that rare items with few strong neighbours have a chance,
and `neighbour_exponent` makes their score the share of its neighbours' weight that was met. `neighbours_centred` takes
from what was met and gives to what is proposed its share of users, as is done with the mean of ratings (section 3.2.1
there): where a history says little, what many meet is ahead.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.sparse import csr_matrix

from spark_jobs.candidates.base import Candidates, RetrievalModel, UserBlock, best, neighbour_matrix
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.repeat import seed_weights
from spark_jobs.features.history import Floats, Ints, UserHistory

_ITEMS_AT_ONCE = 4096


def train_neighbours(
    history: UserHistory, *, n_items: int, params: RetrievalParams, threads: int = 1
) -> tuple[Ints, Floats]:
    """Codes int32 [I, n] and scores float32 [I, n] of each item's neighbours, best first."""
    says = np.repeat(np.maximum(history.sizes, 1) ** -params.activity_exponent, history.sizes).astype(np.float32)
    shape = (len(history), n_items)
    met = csr_matrix((np.ones_like(says), history.item_code, history.indptr), shape=shape)
    by_item = csr_matrix((says, history.item_code, history.indptr), shape=shape).T.tocsr()
    said = np.bincount(history.item_code, weights=says, minlength=n_items)
    discount = np.where(said > 0, said, 1.0).astype(np.float32) ** -params.popularity_exponent

    def nearest(start: int) -> Candidates:
        together = (by_item[start : start + _ITEMS_AT_ONCE] @ met).tocoo()
        scores = together.data * discount[start + together.row] * discount[together.col]
        rows = together.row.astype(np.int64)
        return best(rows, together.col, scores, n_rows=together.shape[0], k=params.neighbours)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(nearest, range(0, n_items, _ITEMS_AT_ONCE)))
    codes, scores = np.concatenate([part.codes for part in parts]), np.concatenate([part.scores for part in parts])
    return codes, _shared(codes, scores, exponent=params.neighbour_exponent)


def _shared(codes: Ints, scores: Floats, *, exponent: float) -> Floats:
    """Scores [I, n] of each item's neighbours over a power of what those but the item itself have together."""
    others = np.where(codes == np.arange(len(codes))[:, None], 0.0, scores).sum(axis=1, keepdims=True)
    shared: Floats = (scores * np.where(others > 0, others, 1.0) ** -exponent).astype(np.float32)
    return shared


def neighbour_base(history: UserHistory, neighbours: Ints, scores: Floats, *, params: RetrievalParams) -> Floats | None:
    """float32 [I]: an item's share of users, less what the shares of its neighbours other than itself let expect."""
    if not params.neighbours_centred:
        return None
    share = np.bincount(history.item_code, minlength=len(neighbours)) / len(history)
    near = neighbour_matrix(neighbours, scores, params=params)
    base: Floats = (share - near.T @ share + near.diagonal() * share).astype(np.float32)
    return base


def item_item_scores(history: UserHistory, model: RetrievalModel) -> csr_matrix:
    """Score of every item near a user's history, float32 [U, I]; codes ascend in a row."""
    weights = seed_weights(history, half_life=model.params.recency_half_life)
    seeds = csr_matrix((weights, history.item_code, history.indptr), shape=(len(history), model.n_items))
    scores = (seeds @ model.neighbour_matrix).tocsr()
    scores.sort_indices()
    if model.neighbour_base is not None:
        scores.data += model.neighbour_base[scores.indices]
    return scores


def item_item_candidates(block: UserBlock, _model: RetrievalModel, k: int) -> Candidates:
    scores = block.near.tocoo()
    return best(scores.row.astype(np.int64), scores.col, scores.data, n_rows=len(block), k=k)
