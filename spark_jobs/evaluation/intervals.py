"""Intervals over users: the bootstrap of means, and the delta method for what many rows of a user make together.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; Deng, Knoblich and Lu, KDD 2018; of intervals
that hold together (Bonferroni), Dunn, "Multiple Comparisons among Means", JASA 1961.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

SAMPLES = 1000
_SAMPLES_AT_ONCE = 50
_TWO_SIDED_95 = float(ndtri(0.975))


@dataclass(frozen=True)
class Estimate:
    """A mean over `users` with its 95 % percentile interval; seeds: the means of single seeds, where there are many."""

    value: float
    low: float
    high: float
    users: int
    seeds: tuple[float, ...] = ()

    def as_json(self) -> dict[str, float | int | list[float]]:
        plain: dict[str, float | int | list[float]] = {"value": self.value, "low": self.low, "high": self.high}
        return {**plain, "users": self.users, **({"seeds": list(self.seeds)} if len(self.seeds) > 1 else {})}


def bootstrap(values: npt.NDArray[np.float64], *, seed: int, samples: int = SAMPLES) -> list[Estimate]:
    """Of the mean of each column of values [users, M]. All columns see the same resampled users.

    So the interval of a column of differences is a paired one.
    """
    users, columns = values.shape
    if not users:
        return [Estimate(float("nan"), float("nan"), float("nan"), 0)] * columns
    low, high = np.quantile(resampled_means(values, seed=seed, samples=samples), [0.025, 0.975], axis=0)
    middle = values.mean(axis=0)
    return [Estimate(float(middle[m]), float(low[m]), float(high[m]), users) for m in range(columns)]


def resampled_means(values: npt.NDArray[np.float64], *, seed: int, samples: int = SAMPLES) -> npt.NDArray[np.float64]:
    """Means [samples, M] of the columns of values [users, M] over users drawn with replacement, the same for all."""
    users, draws, means = len(values), np.random.default_rng(seed), []
    for first in range(0, samples, _SAMPLES_AT_ONCE):
        many = min(_SAMPLES_AT_ONCE, samples - first)
        times = np.stack([np.bincount(draws.integers(0, users, users), minlength=users) for _ in range(many)])
        means.append(times @ values / users)
    return np.concatenate(means)


def standard_error(influence: npt.NDArray[np.float64], user_ids: npt.NDArray[np.int64]) -> tuple[float, int]:
    """Of an estimate whose influence function is given by row (N,), mean 0, and how many users there are.

    Rows of one user go together, since users are what was drawn.
    """
    _, user = np.unique(user_ids, return_inverse=True)
    sums = np.bincount(user, influence)
    users = len(sums)
    return float(np.sqrt(users / max(users - 1, 1) * (sums @ sums)) / max(len(influence), 1)), users


def around(value: float, error: float, users: int) -> Estimate:
    """An estimate with the normal 95 % interval of its standard error."""
    return Estimate(value, value - _TWO_SIDED_95 * error, value + _TWO_SIDED_95 * error, users)


def held_together(estimate: Estimate, comparisons: int) -> Estimate:
    """A normal 95 % interval so widened that `comparisons` (from 1) such ones all hold with 95 %, however dependent."""
    wider = float(ndtri(1 - 0.025 / comparisons)) / _TWO_SIDED_95
    low, high = (estimate.value + wider * (end - estimate.value) for end in (estimate.low, estimate.high))
    return replace(estimate, low=low, high=high)
