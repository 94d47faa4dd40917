"""Popularity in a user's segment, and everybody's where the segment is small or unknown."""

import numpy as np
import numpy.typing as npt

from spark_jobs.candidates.base import Candidates, RetrievalModel, UserBlock, best
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.features.history import ACTION_GROUPS, Floats, Ints, UserHistory, decayed_name


def train_popular(
    history: UserHistory, *, segment: npt.NDArray[np.int16], params: RetrievalParams
) -> tuple[Ints, Floats]:
    """Codes int32 [S, p] and scores float32 [S, p]: row 0 everybody's popular items, row s those of segment s.

    segment int16 [U] of the users of `history`, 0 unknown. The score is the decayed number of events.
    """
    weight = _weight(history, half_life=params.popular_half_life)
    everybody = _top(history.item_code, weight, k=params.popular)
    codes, scores = [everybody.codes], [everybody.scores]
    of_pair, sizes = segment[history.rows], np.bincount(segment)
    for number in range(1, len(sizes)):
        is_here = of_pair == number
        own = _top(history.item_code[is_here], weight[is_here], k=params.popular)
        has_enough = sizes[number] >= params.segment_users and own.sizes[0] == everybody.sizes[0]
        codes.append(own.codes if has_enough else everybody.codes)
        scores.append(own.scores if has_enough else everybody.scores)
    return np.concatenate(codes), np.concatenate(scores)


def _weight(history: UserHistory, *, half_life: float) -> Floats:
    if np.isinf(half_life):
        return history.column("count")
    decayed = [history.column(decayed_name(group, half_life)) for group in ACTION_GROUPS]
    total: Floats = np.sum(decayed, axis=0, dtype=np.float32)
    return total


def _top(item_code: Ints, weight: Floats, *, k: int) -> Candidates:
    totals = np.bincount(item_code, weights=weight).astype(np.float32)
    known = np.flatnonzero(totals).astype(np.int32)
    return best(np.zeros(len(known), dtype=np.int64), known, totals[known], n_rows=1, k=k)


def popular_candidates(block: UserBlock, model: RetrievalModel, k: int) -> Candidates:
    row = np.where(block.segment < len(model.popular), block.segment, 0)
    found = min(k, model.popular.shape[1])
    answer = Candidates(np.full((len(block), k), -1, dtype=np.int32), np.zeros((len(block), k), dtype=np.float32))
    answer.codes[:, :found] = model.popular[row, :found]
    answer.scores[:, :found] = model.popular_scores[row, :found]
    return answer
