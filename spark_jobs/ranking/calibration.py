"""Calibration: from a model's margins to probabilities that mean what they say, family by family.

Platt scaling (Platt 1999): p = sigmoid(slope × margin + intercept), fitted by maximum likelihood on cases that the
model has not seen. It is monotone without plateaus, so it never ties or reorders items of a family, and two numbers are
all that small families can bear. A family's pair is drawn to the global one by a normal prior on how far its level and
its slope may lie from it (partial pooling; Gelman and Hill, "Data analysis using regression and
multilevel/hierarchical models", 2007): few cases leave it there, many have their own say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.ranking.kernel import F32, I64

F64 = NDArray[np.float64]

# How far families lie from the global fit: standard deviations of their log odds' slope, and of their level.
SLOPE_SPREAD, LEVEL_SPREAD = 0.1, 0.25
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


def fit_platt(margins: F32, labels: F32, *, weights: F64 | None = None) -> Platt:
    """By maximum likelihood; a small ridge pulls to the identity (1, 0).

    weights: for how many cases each stands, where negatives are a sample; by default 1. With no positive or no negative
    case nothing can be learnt, and the identity is returned.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    positives = int(labels.sum())
    if positives == 0 or positives == len(labels):
        return Platt(1.0, 0.0, positives)
    target = _platt_targets(labels.astype(np.float64), counted)
    slope, level = _deviation(margins.astype(np.float64), target, counted, around=0.0, precision=(_RIDGE, _RIDGE))
    return Platt(1.0 + slope, level, positives)


def fit_calibrator(
    margins: F32, labels: F32, groups: I64, names: list[str], *, weights: F64 | None = None
) -> Calibrator:
    """`groups` number each case's group in `names`; weights as in `fit_platt`."""
    counted = np.ones(len(labels)) if weights is None else weights
    overall = fit_platt(margins, labels, weights=counted)
    fitted = {}
    for number, name in enumerate(names):
        mine = groups == number
        if mine.any():
            fitted[name] = _drawn_to(overall, margins[mine], labels[mine], counted[mine])
    return Calibrator(overall=overall, groups=fitted)


def _drawn_to(overall: Platt, margins: F32, labels: F32, weights: F64) -> Platt:
    """A group's own pair under the prior. Its level is that of its likely cases, so that slope and level are apart."""
    odds = overall.slope * margins.astype(np.float64) + overall.intercept
    around = float(np.average(odds, weights=weights * sigmoid(odds)))
    precision = (SLOPE_SPREAD**-2, LEVEL_SPREAD**-2)
    slope, level = _deviation(odds, labels.astype(np.float64), weights, around=around, precision=precision)
    tilt = max(1.0 + slope, 0.0)
    intercept = tilt * overall.intercept + (1.0 - tilt) * around + level
    return Platt(tilt * overall.slope, intercept, int(labels.sum()))


def _deviation(
    odds: F64, target: F64, weights: F64, *, around: float, precision: tuple[float, float]
) -> tuple[float, float]:
    """(b, c) of p = sigmoid(odds + b (odds - around) + c): Newton's method, in bounded steps, on the likelihood with
    normal priors around 0.
    """
    beta, drawn = np.zeros(2), np.array(precision)
    design = np.column_stack([odds - around, np.ones_like(odds)])
    for _ in range(_ROUNDS):
        p = sigmoid(odds + design @ beta)
        gradient = design.T @ (weights * (p - target)) + drawn * beta
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + np.diag(drawn)
        step = np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)
        beta = beta - step
        if np.abs(step).max() < 1e-10:
            break
    return float(beta[0]), float(beta[1])


def sigmoid(x: F64) -> F64:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500, 500)))


def auc(scores: F32, labels: F32) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half (Mann-Whitney).

    Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve", 1982.
    """
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    positives = labels.sum(dtype=np.float64)
    negatives = len(labels) - positives
    return float((ranks[labels > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(probability: F64, labels: F32) -> float:
    """Mean negative log likelihood, natural logarithm: the logarithmic score of Good, "Rational decisions", 1952."""
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(labels > 0, np.log(p), np.log1p(-p))))


def _platt_targets(labels: F64, weights: F64) -> F64:
    positives = (weights * labels).sum()
    negatives = weights.sum() - positives
    return np.where(labels > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
