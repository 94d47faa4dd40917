"""Shapes that every candidate source shares: the block of users it looks at, the model it reads, what it answers.

A source is a function `(block, model, k) -> Candidates`: distinct known items, at most k a user, by score descending
and then code ascending. It is one file here and one line in `sources.SOURCES`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.features.history import Floats, Ints, Longs, UserHistory

NO_ITEM = -1


@dataclass(frozen=True)
class UserBlock:
    """U users a source or ranker works on at once.

    vectors float32 [U, d] (folded in), near float32 [U, I]: item-item's scores of what is near their histories,
    segment int16 [U] (0 unknown).
    """

    history: UserHistory
    vectors: Floats
    near: csr_matrix
    segment: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.history)


@dataclass(frozen=True)
class Candidates:
    """codes int32 [U, k] padded with -1 at the end, scores float32 [U, k] (0 where padded), best first."""

    codes: Ints
    scores: Floats

    @property
    def sizes(self) -> Longs:
        sizes: Longs = (self.codes != NO_ITEM).sum(axis=1)
        return sizes

    def first(self, k: int) -> "Candidates":
        """Each user's best k."""
        return Candidates(self.codes[:, :k], self.scores[:, :k])


@dataclass(frozen=True)
class RetrievalModel:
    """What all sources have learned, for I items. A value: arrays, and what follows from them alone.

    item_factors float32 [I, d], learned, zero where too few met the item: users are folded in by them.
    offered_factors float32 [I, d], which users' vectors are held against: the learned ones blended with what content
    says (the same where nothing is known of it), zero where ALS may not propose the item.
    segment_vectors float32 [S, d], for users without history: row s the mean of segment s, zero where it has too few.
    neighbours int32 [I, n] padded with -1 and neighbour_scores float32 [I, n]. neighbour_base float32 [I], added to
    every item near a history: None unless neighbours are centred.
    popular int32 [S, p] and popular_scores float32 [S, p]: row 0 is everybody, row s segment s.
    """

    params: RetrievalParams
    item_factors: Floats
    offered_factors: Floats
    segment_vectors: Floats
    neighbours: Ints
    neighbour_scores: Floats
    popular: Ints
    popular_scores: Floats
    neighbour_base: Floats | None = None

    @staticmethod
    def ignorant(params: RetrievalParams, *, n_items: int) -> "RetrievalModel":
        """Of items that nobody has met: it proposes none."""
        nobody = np.full((n_items, params.neighbours), NO_ITEM, dtype=np.int32)
        popular = np.full((1, params.popular), NO_ITEM, dtype=np.int32)
        return RetrievalModel(
            params=params,
            item_factors=np.zeros((n_items, params.als_factors), dtype=np.float32),
            offered_factors=np.zeros((n_items, params.als_factors), dtype=np.float32),
            segment_vectors=np.zeros((1, params.als_factors), dtype=np.float32),
            neighbours=nobody,
            neighbour_scores=np.zeros(nobody.shape, dtype=np.float32),
            popular=popular,
            popular_scores=np.zeros(popular.shape, dtype=np.float32),
        )

    @property
    def n_items(self) -> int:
        return len(self.item_factors)

    @cached_property
    def neighbour_matrix(self) -> csr_matrix:
        return neighbour_matrix(self.neighbours, self.neighbour_scores, params=self.params)

    @cached_property
    def directions(self) -> Floats:
        """`offered_factors` at length 1, float32 [I, d]; zero stays zero."""
        return unit(self.offered_factors)

    @cached_property
    def proposable(self) -> Ints:
        """Codes int32 of the items that ALS may propose, ascending."""
        return np.flatnonzero(self.offered_factors.any(axis=1)).astype(np.int32)


def neighbour_matrix(neighbours: Ints, scores: Floats, *, params: RetrievalParams) -> csr_matrix:
    """What an item met (row) says for another (column), float32 [I, I]."""
    is_there = neighbours != NO_ITEM
    indptr = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))])
    shape = (len(neighbours), len(neighbours))
    matrix = csr_matrix((scores[is_there], neighbours[is_there], indptr), shape=shape)
    return matrix if params.neighbours_of == "met" else matrix.T.tocsr()


def unit(vectors: Floats) -> Floats:
    """Rows of [N, d] at length 1; zero stays zero."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: Floats = vectors / np.maximum(norm, np.float32(1e-9))
    return directions


def best(rows: Longs, codes: Ints, scores: Floats, *, n_rows: int, k: int) -> Candidates:
    """The best k of each row's scored items, given as triples in any order; a row's codes are distinct."""
    order = np.lexsort((codes, -scores, rows))
    rows, codes, scores = rows[order], codes[order], scores[order]
    starts = np.searchsorted(rows, np.arange(n_rows))
    place = np.arange(len(rows)) - starts[rows]
    kept = place < k
    answer = Candidates(np.full((n_rows, k), NO_ITEM, dtype=np.int32), np.zeros((n_rows, k), dtype=np.float32))
    answer.codes[rows[kept], place[kept]] = codes[kept]
    answer.scores[rows[kept], place[kept]] = scores[kept]
    return answer
