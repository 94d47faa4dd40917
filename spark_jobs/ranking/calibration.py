"""Calibration: from a model's margins to probabilities that mean what they say, family by family.

Platt scaling (Platt 1999): p = sigmoid(slope × margin + intercept), fitted by maximum likelihood on data later than
the model's. It is monotone without plateaus, so it never ties or reorders items of a family, and two numbers are all
that small families can bear. A family's pair is shrunk to the global one by its number of positive cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.ranking.kernel import F32, I64

F64 = NDArray[np.float64]

# Positive cases at which a family's own fit and the global one weigh the same.
SHRINKAGE_CASES = 100.0
_ROUNDS = 50
# A flat prior of two cases (Platt's targets) keeps the fit finite where classes separate or one is absent.
_RIDGE = 1e-3


@dataclass(frozen=True)
class Platt:
    """p = sigmoid(slope × margin + intercept); `cases` positives stood behind it."""

    slope: float
    intercept: float
    cases: int


@dataclass(frozen=True)
class Calibrator:
    """The global pair and the pair of each group (family) that had data. Unknown groups use the global one."""

    overall: Platt
    groups: Mapping[str, Platt]

    def coefficients(self, groups: list[str]) -> tuple[F64, F64]:
        """Slopes and intercepts, one for each of `groups`."""
        pairs = [self.groups.get(group, self.overall) for group in groups]
        return np.array([pair.slope for pair in pairs]), np.array([pair.intercept for pair in pairs])


def fit_platt(margins: F32, labels: F32) -> Platt:
    """Newton's method, in bounded steps, on the ridge-damped likelihood; the ridge pulls to the identity (1, 0).

    With no positive or no negative case nothing can be learnt, and the identity is returned.
    """
    positives = int(labels.sum())
    if positives == 0 or positives == len(labels):
        return Platt(1.0, 0.0, positives)
    x, target = margins.astype(np.float64), _platt_targets(labels.astype(np.float64))
    identity = np.array([1.0, 0.0])
    beta = identity
    design = np.column_stack([x, np.ones_like(x)])
    for _ in range(_ROUNDS):
        p = sigmoid(design @ beta)
        gradient = design.T @ (p - target) + _RIDGE * (beta - identity)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)
        beta = beta - step
        if np.abs(step).max() < 1e-10:
            break
    return Platt(float(beta[0]), float(beta[1]), positives)


def fit_calibrator(margins: F32, labels: F32, groups: I64, names: list[str]) -> Calibrator:
    """`groups` number each case's group in `names`."""
    overall = fit_platt(margins, labels)
    fitted = {}
    for number, name in enumerate(names):
        mine = groups == number
        if mine.any():
            fitted[name] = _shrunk(fit_platt(margins[mine], labels[mine]), overall)
    return Calibrator(overall=overall, groups=fitted)


def sigmoid(x: F64) -> F64:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500, 500)))


def auc(scores: F32, labels: F32) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half (Mann-Whitney)."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    positives = labels.sum(dtype=np.float64)
    negatives = len(labels) - positives
    return float((ranks[labels > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(probability: F64, labels: F32) -> float:
    """Mean negative log likelihood, natural logarithm."""
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(labels > 0, np.log(p), np.log1p(-p))))


def _shrunk(own: Platt, overall: Platt) -> Platt:
    share = own.cases / (own.cases + SHRINKAGE_CASES)
    return Platt(
        slope=share * max(own.slope, 0.0) + (1 - share) * overall.slope,
        intercept=share * own.intercept + (1 - share) * overall.intercept,
        cases=own.cases,
    )


def _platt_targets(labels: F64) -> F64:
    positives = labels.sum()
    negatives = len(labels) - positives
    return np.where(labels > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
