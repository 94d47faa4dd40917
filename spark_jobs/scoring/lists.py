"""The shapes lists have between scoring and the snapshot's files."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Items of a kind on a list, most.
LIST_LENGTH = 20


@dataclass(frozen=True)
class Lists:
    """Lists of n users, one after another: user u has `offsets[u]:offsets[u + 1]`, best first.

    items int32: item codes; scores uint16: quantised logits; reasons uint16: code1 | code2 << 8.
    """

    offsets: NDArray[np.int32]
    items: NDArray[np.int32]
    scores: NDArray[np.uint16]
    reasons: NDArray[np.uint16]

    @staticmethod
    def empty(users: int) -> "Lists":
        """Nothing for anybody."""
        nothing = np.empty(0, np.uint16)
        return Lists(np.zeros(users + 1, np.int32), np.empty(0, np.int32), nothing, nothing)


@dataclass(frozen=True)
class Ranked:
    """One list without a user: item codes, best first, with their quantised scores."""

    items: NDArray[np.int32]
    scores: NDArray[np.uint16]

    @staticmethod
    def nothing() -> "Ranked":
        """An empty list."""
        return Ranked(np.empty(0, np.int32), np.empty(0, np.uint16))
