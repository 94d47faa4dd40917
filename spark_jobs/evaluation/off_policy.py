"""What another policy would have earned on logged exposures: IPS, SNIPS and doubly robust, or why that is unknown.

Sources: Horvitz and Thompson (1952) for IPS; Swaminathan and Joachims (2015) for the self-normalised form; Dudik,
Langford and Li (2011) for doubly robust; Kong (1992) for the effective sample size. Users are drawn, not exposures, so
standard errors are of sums by user.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from spark_jobs.evaluation.intervals import Estimate, around, standard_error

Floats = NDArray[np.float64]

FEWEST_EFFECTIVE = 1_000.0
LEAST_OVERLAP = 0.8


@dataclass(frozen=True)
class LoggedExposures:
    """N logged exposures, each array (N,).

    logged: probability with which the item was shown where it was, > 0; target: that with which the policy in question
    would show it there; expected: a model's reward of what was shown; expected_target: its mean reward under the
    target, of the same moment; supported: how much of the target's probability lies on what logging could show.
    """

    user_ids: NDArray[np.int64]
    reward: Floats
    logged: Floats
    target: Floats
    expected: Floats
    expected_target: Floats
    supported: Floats

    @property
    def weights(self) -> Floats:
        return self.target / self.logged

    @property
    def effective_size(self) -> float:
        """(sum w)^2 / sum w^2: exposures that the weighted ones are worth."""
        weights = self.weights
        squares = float(weights @ weights)
        return float(weights.sum() ** 2 / squares) if squares else 0.0

    @property
    def overlap(self) -> float:
        """Mean share of the target's probability that logging supports."""
        return float(self.supported.mean()) if len(self.supported) else 0.0


@dataclass(frozen=True)
class OffPolicy:
    """The target's mean reward an exposure, each with its 95 % interval."""

    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate
    effective_size: float
    overlap: float


def off_policy(log: LoggedExposures) -> OffPolicy:
    """Raises InputError where the log cannot answer: too few effective exposures, or too little overlap."""
    if (log.logged <= 0).any():
        raise InputError("a logged propensity is 0: what was shown had a chance of being shown")
    if log.overlap < LEAST_OVERLAP:
        raise InputError(
            f"overlap {log.overlap:.2f} is below {LEAST_OVERLAP}: the policy in question shows what was hardly ever "
            "shown, and the log cannot say what that would earn; explore more, or ask of a nearer policy"
        )
    if log.effective_size < FEWEST_EFFECTIVE:
        raise InputError(
            f"{log.effective_size:.0f} effective exposures are fewer than {FEWEST_EFFECTIVE:.0f}: collect more, or ask "
            "of a nearer policy"
        )
    weights = log.weights
    weighted = weights * log.reward
    ratio = float(weighted.sum() / weights.sum())
    residuals = weights * (log.reward - ratio) / weights.mean()
    robust = log.expected_target + weights * (log.reward - log.expected)
    return OffPolicy(
        ips=_of_mean(weighted, log.user_ids),
        snips=around(ratio, *standard_error(residuals, log.user_ids)),
        doubly_robust=_of_mean(robust, log.user_ids),
        effective_size=log.effective_size,
        overlap=log.overlap,
    )


def _of_mean(values: Floats, user_ids: NDArray[np.int64]) -> Estimate:
    mean = float(values.mean())
    return around(mean, *standard_error(values - mean, user_ids))
