"""The numeric kernel of scoring: blocks of users in, best items out, on NumPy buffers that are allocated once.

Belongs here: arithmetic that the night, training and the bench share. Does not: Spark, files, policy.

Everything is computed row by row, so a user's result does not depend on who else is in the block (the bits of a GEMM
do: `retrieve` therefore always multiplies whole blocks, and pads the last). One thread; Spark brings the parallelism.
"""

from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

_LOW = np.int64(0xFFFFFFFF)


def ordered_keys(scores: F32, items: I64, out: I64) -> I64:
    """One int64 a score, larger is better: score descending, then item ascending. NaN is not allowed.

    The high half is the float's bits made monotone (negative floats sort backwards as integers), the low half the
    item counted down. So plain integer partitions and sorts give the total order, and the item is read back from the
    key, without the indirection of an argsort.
    """
    bits = (scores + np.float32(0)).view(np.int32)  # adding zero makes -0.0 equal 0.0
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    np.left_shift(bits, 32, out=out, dtype=np.int64)
    np.bitwise_or(out, _LOW - items, out=out)
    return out


def items_of(keys: I64) -> I64:
    return _LOW - (keys & _LOW)


def scores_of(keys: I64) -> F32:
    bits = (keys >> 32).astype(np.int32)
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    return bits.view(np.float32)


def unsorted_top(keys: I64, k: int) -> I64:
    """The k largest keys of each row, in no order. Partitions `keys` in place; the result is a view of it."""
    width = keys.shape[1]
    if k >= width:
        return keys
    keys.partition(width - k, axis=1)
    return keys[:, width - k :]


def best_first(keys: I64, k: int) -> I64:
    """The k largest keys of each row, best first: (n, min(k, width))."""
    top = np.sort(unsorted_top(keys, k), axis=1)
    return top[:, ::-1]


def margins(booster: xgb.Booster, rows: F32, *, start: F32 | None = None) -> F32:
    """Raw margins (log odds) of rows that are C-contiguous and have the booster's width. start: where the booster goes
    on from, if it learned to.
    """
    predicted: F32 = booster.inplace_predict(rows, predict_type="margin", validate_features=False, base_margin=start)
    return predicted


@dataclass(frozen=True)
class TwoStageModel:
    """Items by inner product, the K nearest ranked by trees. Row: user features ++ item features ++ (score, share).

    item_vectors: (items, d); item_features: (items, q).
    """

    item_vectors: F32
    item_features: F32
    booster: xgb.Booster
    candidates: int
    k: int
    user_features: int


class TwoStageScorer:
    """`TwoStageModel` on blocks of at most `block` users, in buffers that live as long as the scorer."""

    def __init__(self, model: TwoStageModel, block: int) -> None:
        items, dimensions = model.item_vectors.shape
        self._model = model
        self._items_t = np.ascontiguousarray(model.item_vectors.T)
        self._item_numbers = np.arange(items, dtype=np.int64)
        self._users = np.zeros((block, dimensions), np.float32)
        self._scores = np.empty((block, items), np.float32)
        self._keys = np.empty((block, items), np.int64)
        width = model.user_features + model.item_features.shape[1] + 2
        self._rows = np.empty((block, model.candidates, width), np.float32)

    def top(self, vectors: F32, features: F32) -> tuple[I32, F32]:
        """Items and margins of the k best of each user, best first, both (n, k)."""
        count, model = len(vectors), self._model
        near = self._retrieve(vectors)
        items = items_of(near)
        rows = self._assemble(features, items, scores_of(near))
        predicted = margins(model.booster, rows.reshape(-1, rows.shape[2])).reshape(items.shape)
        best = best_first(ordered_keys(predicted, items, np.empty(items.shape, np.int64)), model.k)
        return items_of(best).astype(np.int32).reshape(count, -1), scores_of(best)

    def _retrieve(self, vectors: F32) -> I64:
        count = len(vectors)
        self._users[:count] = vectors
        self._users[count:] = 0
        np.matmul(self._users, self._items_t, out=self._scores)
        keys = ordered_keys(self._scores[:count], self._item_numbers, self._keys[:count])
        # In item order the reads of item features go forward in memory, and rows have one layout.
        return unsorted_top(keys, self._model.candidates)

    def _assemble(self, features: F32, items: I64, scores: F32) -> F32:
        count, model = len(items), self._model
        rows = self._rows[:count]
        first, last = model.user_features, rows.shape[2] - 2
        rows[:, :, :first] = features[:, None, :]
        np.take(model.item_features, items, axis=0, out=rows[:, :, first:last], mode="clip")
        rows[:, :, last] = scores
        best = scores.max(axis=1, keepdims=True)
        np.subtract(best, scores, out=rows[:, :, last + 1])
        return rows
