"""The rules on user and item alone as bits, so that what speaks against all products of a user is a few words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_contracts.policy.bits import Bools, Words, as_words
from data_contracts.vocabulary import Channel


@dataclass(frozen=True)
class AttributeTables:
    """Which products the values of A attributes admit to, table after table.

    A table's rows are for "unknown", then for values from `first` on; what is above its last is like its last.
    """

    first: NDArray[np.int64]  # [A, 1]
    last: NDArray[np.int64]  # [A, 1], known values less one
    start: NDArray[np.int64]  # [A, 1], row of the first known value
    admitted: Words  # [W, rows of all]

    @classmethod
    def of(cls, tables: Sequence[tuple[int, Bools]]) -> Self:
        """`first` of each, and its rows [values + 1, P]."""
        rows = np.array([len(allowed) for _, allowed in tables])
        return cls(
            first=np.array([[first] for first, _ in tables]),
            last=rows[:, None] - 2,
            start=(np.cumsum(rows) - rows)[:, None] + 1,
            admitted=as_words(np.concatenate([allowed for _, allowed in tables])),
        )

    def admit(self, values: NDArray[np.int64]) -> Words:
        """[W, U] for values [A, U]; anything below an attribute's `first` is unknown."""
        rows = np.minimum(np.maximum(values - self.first, -1), self.last) + self.start
        return np.asarray(np.bitwise_and.reduce(self.admitted.take(rows, axis=1), axis=1))


@dataclass(frozen=True)
class StandingWords:
    """[W, 1] each; what is held speaks by the bytes of holdings (see `united_by_byte`)."""

    not_sold: Words
    blocked: Words
    not_safe: Words
    not_offered: Mapping[Channel, Words]
    eligibility: AttributeTables  # of data_contracts.policy.compiled.ATTRIBUTES
    prohibited_by_held: Words
    prerequisite: Words
    opened_by_held: Words
    everything: Words
