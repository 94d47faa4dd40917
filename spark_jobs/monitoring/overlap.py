"""Rank-biased overlap of lists, of many pairs at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PAIRS_AT_ONCE = 16_384


def rank_biased_overlap(
    one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]], *, persistence: float = 0.9
) -> NDArray[np.float64]:
    """(n,) between 0 (nothing in common) and 1 (the same order); one, other: items (n, k), -1 where a list has ended.

    Extrapolated RBO of Webber, Moffat and Zobel (2010), equation 30, at the depth of the longer list:
    X_k / k p^k + (1 - p) / p sum over d <= k of X_d / d p^d, where X_d is how many items the first d places share. Two
    empty lists agree (1). Items of a list are distinct.
    """
    parts = [
        _overlap(one[first : first + _PAIRS_AT_ONCE], other[first : first + _PAIRS_AT_ONCE], persistence)
        for first in range(0, len(one), _PAIRS_AT_ONCE)
    ]
    return np.concatenate([np.empty(0), *parts])


def _overlap(one: NDArray[Any], other: NDArray[Any], p: float) -> NDArray[np.float64]:
    same = (one[:, :, None] == other[:, None, :]) & (one >= 0)[:, :, None]
    shared = np.diagonal(same.cumsum(axis=1).cumsum(axis=2), axis1=1, axis2=2)
    depths = np.arange(1, one.shape[1] + 1)
    length = np.maximum((one >= 0).sum(axis=1), (other >= 0).sum(axis=1))
    agreement = np.where(depths <= length[:, None], shared / depths, 0.0)
    last = np.maximum(length, 1)
    at_end = agreement[np.arange(len(one)), last - 1]
    value = at_end * p**last + (1 - p) / p * (agreement * p**depths).sum(axis=1)
    return np.where(length == 0, 1.0, value)
