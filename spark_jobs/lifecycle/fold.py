"""Two rankers on the same cases of the newest fold: how sure it is that one is better. Pure.

Neither booster has seen the cases. The challenger's calibrator of products has, that of offers has seen others'
(`offers_training.told_by_halves`); the champion's has not, and has aged. So gain is asked of both alike, each half of
the users calibrated on the other half (cross-fitting; Chernozhukov et al., "Double/debiased machine learning", 2018): a
level that is off, fresh or old costs neither anything there. Whether the challenger's level holds is asked of its
probabilities as they are told. What differs are log losses of whole users, resampled together (paired bootstrap).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.intervals import Estimate, around, bootstrap, standard_error
from spark_jobs.ranking.boosting import uniform
from spark_jobs.ranking.calibration import auc, fit_calibrator, sigmoid
from spark_jobs.ranking.newest import F64, Fold

# Of fewer positive cases nothing is said of a family.
FEWEST_POSITIVES = 50


@dataclass(frozen=True)
class Quality:
    """Of one ranker on a fold. `families`: predicted over observed rate of each with enough cases."""

    auc: Estimate
    log_loss: Estimate
    families: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """gain: how much less log loss the challenger has, as a share of the champion's, both cross-fitted; by family where
    there are enough positive cases; calibration: the challenger's predicted over observed rate as told, likewise.
    """

    users: int
    positives: int
    gain: Estimate
    families: Mapping[str, float]
    calibration: Mapping[str, float]


def compare(fold: Fold, *, challenger: F64, champion: F64, seed: int) -> Comparison:
    """challenger, champion (n,): log odds that each gives to the cases."""
    own, theirs = (case_losses(cross_fitted(fold, one, seed=seed), fold.labels) for one in (challenger, champion))
    gains = theirs - own
    _, user = np.unique(fold.user_ids, return_inverse=True)
    by_user = np.bincount(user, gains) / (theirs.sum() / (user.max(initial=0) + 1))
    enough = families_with_enough(fold)
    return Comparison(
        users=len(by_user),
        positives=int(fold.labels.sum()),
        gain=bootstrap(by_user[:, None], seed=seed)[0],
        families={name: float(gains[mine].sum() / theirs[mine].sum()) for name, mine in enough.items()},
        calibration=ratios(fold, sigmoid(challenger)),
    )


def cross_fitted(fold: Fold, margins: F64, *, seed: int) -> F64:
    """Probabilities (n,), those of each half of the users calibrated on the other half."""
    half = uniform(fold.user_ids, np.zeros_like(fold.user_ids), seed) < 0.5
    names, raw = list(fold.names), margins.astype(np.float32)
    probability = np.empty(len(margins))
    for mine in (half, ~half):
        fitted = fit_calibrator(raw[~mine], fold.labels[~mine].astype(np.float32), fold.families[~mine], names)
        slopes, intercepts = fitted.coefficients(names)
        families = fold.families[mine]
        probability[mine] = sigmoid(slopes[families] * margins[mine] + intercepts[families])
    return probability


def quality(fold: Fold, probability: F64) -> Quality:
    """AUC with DeLong's interval and log loss, both over users. Needs cases of either label."""
    losses = case_losses(probability, fold.labels)
    error, users = standard_error(losses - losses.mean(), fold.user_ids)
    return Quality(
        auc=auc_of(fold, probability),
        log_loss=around(float(losses.mean()), error, users),
        families=ratios(fold, probability),
    )


def auc_of(fold: Fold, scores: F64) -> Estimate:
    """Source of the influence function: DeLong et al., "Comparing the areas under two ... ROC curves", 1988."""
    labels = fold.labels
    value = auc(scores.astype(np.float32), labels.astype(np.float32))
    below = placement(scores[~labels], scores)
    above = 1 - placement(scores[labels], scores)
    share = labels.mean()
    influence = np.where(labels, (below - value) / share, (above - value) / (1 - share))
    error, users = standard_error(influence - influence.mean(), fold.user_ids)
    return around(value, error, users)


def placement(of: F64, scores: F64) -> F64:
    """(n,) share of `of` that each score lies above, ties counting half."""
    ordered = np.sort(of)
    lower, upper = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return np.asarray((lower + upper) / 2 / max(len(ordered), 1))


def ratios(fold: Fold, probability: F64) -> dict[str, float]:
    """Predicted over observed rate of each family with enough positive cases."""
    enough = families_with_enough(fold)
    return {name: float(probability[mine].sum() / fold.labels[mine].sum()) for name, mine in enough.items()}


def families_with_enough(fold: Fold) -> dict[str, NDArray[np.bool_]]:
    """Which cases are of each family that has enough positive ones."""
    positives = np.bincount(fold.families[fold.labels], minlength=len(fold.names))
    return {name: fold.families == n for n, name in enumerate(fold.names) if positives[n] >= FEWEST_POSITIVES}


def case_losses(probability: F64, labels: NDArray[np.bool_]) -> F64:
    """(n,) negative log likelihood, natural logarithm."""
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    return np.where(labels, -np.log(p), -np.log1p(-p))
