"""Ranking metrics on arrays: lists of U users, and what they really met. Binary relevance throughout.

A user without relevant items has no metric (NaN) and takes no part in means. `IIR` is Manning, Raghavan and Schütze,
"Introduction to Information Retrieval", 2008. How good probabilities are is told in `probabilities`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spark_jobs.features.history import Ints, Longs

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Relevant:
    """Which of `n_items` items each of `n_users` users met: keys = user position × n_items + item code, ascending."""

    keys: Longs
    n_users: int
    n_items: int

    @staticmethod
    def of(rows: Longs, codes: Ints | Longs, *, n_users: int, n_items: int) -> "Relevant":
        """From (user position, item code) pairs in any order, repetitions and all."""
        keys: Longs = np.unique(rows.astype(np.int64) * n_items + codes)
        return Relevant(keys, n_users, n_items)

    @property
    def sizes(self) -> Longs:
        return np.bincount(self.keys // self.n_items, minlength=self.n_users)

    def of_users(self, users: Longs) -> "Relevant":
        """The same of some users only, by position, ascending."""
        rows, codes = np.divmod(self.keys, self.n_items)
        at = np.searchsorted(users, rows)
        is_kept = users[np.minimum(at, len(users) - 1)] == rows
        return Relevant(at[is_kept] * self.n_items + codes[is_kept], len(users), self.n_items)

    def hits(self, codes: Ints) -> Mask:
        """Which listed items are relevant, bool [U, k]; codes int32 [U, k] padded with -1."""
        if not len(self.keys):
            return np.zeros(codes.shape, dtype=bool)
        wanted = np.arange(len(codes))[:, None] * self.n_items + codes
        found = self.keys[np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)] == wanted
        is_hit: Mask = found & (codes >= 0)
        return is_hit


def precision(hits: Mask, sizes: Longs) -> Doubles:
    """Share of the list's k places that hold a relevant item; an empty place holds none. IIR, section 8.4."""
    return _where_relevant(hits.sum(axis=1), np.where(sizes > 0, hits.shape[1], 0))


def recall(hits: Mask, sizes: Longs) -> Doubles:
    """Share of the relevant items that are on the list. IIR, section 8.3."""
    return _where_relevant(hits.sum(axis=1), sizes)


def hit_rate(hits: Mask, sizes: Longs) -> Doubles:
    """1 where at least one relevant item is on the list.

    Deshpande and Karypis, "Item-based top-N recommendation algorithms", 2004, of any number of relevant items.
    """
    return _where_relevant(hits.any(axis=1), np.minimum(sizes, 1))


def ndcg(hits: Mask, sizes: Longs) -> Doubles:
    """Discounted gain over that of an ideal list: relevant items first, as many as there are and fit.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002, with the discount 1 / log2(1 +
    place) of Burges and others, "Learning to rank using gradient descent", 2005.
    """
    discounts = 1.0 / np.log2(np.arange(hits.shape[1]) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(sizes, hits.shape[1])]
    return _where_relevant(hits @ discounts, ideal)


def average_precision(hits: Mask, sizes: Longs) -> Doubles:
    """Mean, over the relevant items that fit on the list, of the precision at each one's place; its mean is MAP@k.

    IIR, section 8.4, cut at k: what is divided by is at most k, as in Kaggle's MAP@k and `implicit.evaluation`, so that
    a list of relevant items alone has 1.
    """
    precision = np.cumsum(hits, axis=1) / (np.arange(hits.shape[1]) + 1.0)
    return _where_relevant((precision * hits).sum(axis=1), np.minimum(sizes, hits.shape[1]))


def simulated_ctr(hits: Mask, sizes: Longs) -> Doubles:
    """Clicks a shown place, if the r-th is looked at with probability 1/r and what is relevant and seen is clicked.

    The position-based model with the examination of Joachims, Swaminathan and Schnabel, "Unbiased learning-to-rank with
    biased feedback", 2017 (eta = 1). Places are counted, shown or empty.
    """
    examined = 1.0 / (np.arange(hits.shape[1]) + 1.0)
    return _where_relevant(hits @ examined, np.where(sizes > 0, hits.shape[1], 0))


def graded_ndcg(gains: Doubles, codes: Ints) -> Doubles:
    """NDCG with graded, linear gains: gains float64 [U, I] ≥ 0 of all items, codes int32 [U, k] padded with -1.

    As `ndcg`, from Järvelin and Kekäläinen, 2002. The ideal list holds the k largest gains; NaN for users whose gains
    are all 0.
    """
    k = codes.shape[1]
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    listed = np.where(codes >= 0, np.take_along_axis(gains, np.maximum(codes, 0), axis=1), 0.0)
    ideal = -np.sort(-gains, axis=1)[:, :k]
    return _where_relevant(listed @ discounts, ideal @ discounts[: ideal.shape[1]])


def novelty(codes: Ints, share: Doubles) -> Doubles:
    """Mean self-information of a user's listed items, -log2 of the share of users who met each; 0 for empty lists.

    share float64 [I] in (0, 1]. Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems",
    2010.
    """
    is_listed = codes >= 0
    surprise = np.where(is_listed, -np.log2(share)[np.maximum(codes, 0)], 0.0)
    mean: Doubles = surprise.sum(axis=1) / np.maximum(is_listed.sum(axis=1), 1)
    return mean


def coverage(codes: Ints, *, n_items: int) -> float:
    """Share of all items that are on somebody's list: catalogue coverage.

    Ge, Delgado-Battenfeld and Jannach, "Beyond accuracy: evaluating recommender systems by coverage and serendipity",
    2010.
    """
    return len(np.unique(codes[codes >= 0])) / max(n_items, 1)


METRICS: dict[str, Callable[[Mask, Longs], Doubles]] = {
    "precision": precision,
    "recall": recall,
    "ndcg": ndcg,
    "map": average_precision,
    "hit_rate": hit_rate,
    "simulated_ctr": simulated_ctr,
}


def _where_relevant(gain: npt.NDArray[np.generic], best: npt.NDArray[np.generic]) -> Doubles:
    ideal = best.astype(np.float64)
    return np.divide(gain.astype(np.float64), ideal, out=np.full(len(ideal), np.nan), where=ideal > 0)
