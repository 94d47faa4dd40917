"""Many users' candidates as matrices: the arrays beside the `Candidates` of single look-ups."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from api.serving import NO_SCORE, Candidates
from data_contracts.vocabulary import Tier

TIERS = tuple(Tier)
_TIER_NUMBERS = {tier: number for number, tier in enumerate(TIERS)}
Rows = slice | NDArray[Any]


@dataclass(frozen=True)
class Ranks:
    """[N, L], best first. `items`: product positions or item codes, -1 for none, which may stand anywhere.

    `scores` and `reasons` as stored, NO_SCORE where nobody scored; `tiers` are positions in TIERS.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.int32]
    reasons: NDArray[np.int32]
    tiers: NDArray[np.int8]

    @property
    def width(self) -> int:
        return int(self.items.shape[1])

    @property
    def is_item(self) -> NDArray[np.bool_]:
        return np.asarray(self.items >= 0)

    def __getitem__(self, rows: Rows) -> Self:
        return self._each(lambda one: one[rows])

    def beside(self, other: Self) -> Self:
        parts = [np.concatenate([getattr(self, one), getattr(other, one)], axis=1) for one in _NAMES]
        return type(self)(*parts)

    def widened(self, width: int) -> Self:
        more = width - self.width
        return self.beside(self.none(len(self.items), more)) if more > 0 else self

    def cut(self, width: int) -> Self:
        return self._each(lambda one: one[:, :width])

    def in_order(self, places: NDArray[np.intp]) -> Self:
        return self._each(lambda one: np.take_along_axis(one, places, axis=1))

    def put_rows(self, rows: NDArray[np.intp], other: Self) -> None:
        for name in _NAMES:
            getattr(self, name)[rows] = getattr(other, name)

    def put(self, rows: NDArray[np.intp], other: Self, keep: NDArray[np.bool_]) -> None:
        """Write what is kept of other rows [R, L] into these, which lie row after row in memory, from the left."""
        source = np.flatnonzero(keep)
        ends = np.cumsum(keep, axis=1, dtype=np.intp) + (rows * self.width - 1)[:, None]
        place = ends.ravel()[source]
        for name in _NAMES:
            getattr(self, name).reshape(-1)[place] = getattr(other, name).reshape(-1)[source]

    def flat(self) -> tuple[NDArray[np.int32], "Ranks"]:
        """Items alone, user after user, as matrices [1, M], and where each user's begin and end [N + 1]."""
        is_item = self.is_item
        ends = np.append(0, np.cumsum(is_item.sum(axis=1))).astype(np.int32)
        if is_item.all():
            return ends, self._each(lambda one: one.reshape(1, -1))
        return ends, self._each(lambda one: one[is_item][None])

    @classmethod
    def none(cls, rows: int, width: int) -> Self:
        shape = (rows, width)
        items, scores = np.full(shape, -1, np.int32), np.full(shape, NO_SCORE, np.int32)
        return cls(items, scores, np.zeros(shape, np.int32), np.zeros(shape, np.int8))

    @classmethod
    def of_candidates(cls, lists: Sequence[Candidates]) -> Self:
        """A row each, as wide as the longest."""
        made = cls.none(len(lists), max(1, *map(len, lists)))
        for row, listed in enumerate(lists):
            for place, one in enumerate(listed):
                made.items[row, place], made.scores[row, place] = one.index, one.score
                made.reasons[row, place], made.tiers[row, place] = one.reasons, _TIER_NUMBERS[one.tier]
        return made

    @classmethod
    def of_stored(cls, table: pa.Table) -> Self:
        """Personal lists as stored, from columns items, scores and reasons; items are item codes still."""
        columns = [table[name].combine_chunks() for name in ("items", "scores", "reasons")]
        ends = columns[0].offsets.to_numpy()
        lengths = np.diff(ends)
        width = int(lengths.max(initial=0))
        if width and (lengths == width).all():
            items, scores, reasons = (
                one.flatten().to_numpy(zero_copy_only=False).astype(np.int32).reshape(-1, width) for one in columns
            )
            return cls(items, scores, reasons, np.zeros(items.shape, np.int8))
        made = cls.none(table.num_rows, max(1, width))
        is_item = np.arange(made.width) < lengths[:, None]
        for matrix, column in zip((made.items, made.scores, made.reasons), columns, strict=True):
            matrix[is_item] = column.flatten().to_numpy(zero_copy_only=False)
        return made

    def _each(self, change: Any) -> Self:
        return type(self)(*(change(getattr(self, name)) for name in _NAMES))


_NAMES = tuple(field.name for field in fields(Ranks))
