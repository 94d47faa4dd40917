"""How good probabilities are: AUC, log loss, expected calibration error, predicted over observed, calibration curves.

Rows are (user, item) cases; intervals resample users, since users are what was drawn. AUC and log loss are the ones
that training knows (`ranking.calibration`); their intervals bootstrap the influence of each user: for AUC the placement
values of DeLong, DeLong and Clarke-Pearson, 1988, added up by user as in Obuchowski, 1997. Predicted over observed is
the ratio of expected to observed events of Debray and others, "A guide to systematic review and meta-analysis of
prediction model performance", 2017.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spark_jobs.evaluation.intervals import Estimate, bootstrap, resampled_means
from spark_jobs.evaluation.metrics import Doubles, Mask
from spark_jobs.features.history import Longs
from spark_jobs.ranking.calibration import auc, log_loss

BINS = 10
# Predicted over observed is asked to lie between 0.9 and 1.1 where chance alone moves it by less than this.
ENOUGH = 0.1
_SEED = 20240229


@dataclass(frozen=True)
class Cases:
    """N rows: whose each is, int64; the probability that was told, float64; what happened, bool."""

    user_ids: Longs
    probability: Doubles
    happened: Mask

    def take(self, rows: Mask) -> "Cases":
        return Cases(self.user_ids[rows], self.probability[rows], self.happened[rows])


@dataclass(frozen=True)
class Bin:
    """Cases of about one probability: its mean, and the rate at which it happened."""

    predicted: float
    observed: float
    cases: int


def calibration_curve(cases: Cases, *, bins: int = BINS) -> list[Bin]:
    """Bins of equal size by probability, the lowest first; equal probabilities are never parted.

    Equal size rather than width, since most probabilities are small: Nguyen and O'Connor, "Posterior calibration and
    exploratory analysis for NLP models", 2015.
    """
    of_case = _bins(cases.probability, bins)
    counts = np.bincount(of_case, minlength=bins)
    predicted = np.bincount(of_case, cases.probability, minlength=bins)
    observed = np.bincount(of_case, cases.happened, minlength=bins)
    return [Bin(float(predicted[n] / counts[n]), float(observed[n] / counts[n]), int(counts[n])) for n in _some(counts)]


def probability_figures(cases: Cases) -> dict[str, Estimate]:
    """auc, log_loss, ece, predicted_over_observed with intervals, less what one outcome alone does not define."""
    figures: dict[str, Estimate] = {}
    positives = int(cases.happened.sum())
    if not len(cases.happened):
        return figures
    _, user = np.unique(cases.user_ids, return_inverse=True)
    loss = -np.where(cases.happened, np.log(_safe(cases.probability)), np.log1p(-_safe(cases.probability)))
    labels = cases.happened.astype(np.float32)
    figures["log_loss"] = _linearised(log_loss(cases.probability, labels), loss - loss.mean(), user)
    figures["ece"] = _calibration_error(cases, user)
    if positives:
        ratio = float(cases.probability.sum() / positives)
        influence = (cases.probability - ratio * cases.happened) * len(loss) / positives
        figures["predicted_over_observed"] = _linearised(ratio, influence, user)
    if 0 < positives < len(loss):
        area = auc(cases.probability.astype(np.float32), labels)
        figures["auc"] = _linearised(area, _auc_influence(cases.probability, cases.happened), user)
    return figures


def chance(learned: int, rate: Estimate) -> float:
    """Half-width of predicted over observed by chance, as a share of it: below `ENOUGH` there are enough cases.

    learned: openings that the level was learned from (Poisson); rate: with its interval over users, none where the
    observed is the truth itself. Both are what other days draw anew, so their 95 % half-widths add in squares.
    """
    of_observed = (rate.high - rate.low) / 2 / rate.value
    return float(np.hypot(1.96 / np.sqrt(max(learned, 1)), of_observed))


def expected_calibration_error(cases: Cases, *, bins: int = BINS) -> float:
    """Mean distance of predicted and observed over the bins of the calibration curve, each counting by its cases.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015; over bins of
    equal size, as in Nixon and others, "Measuring calibration in deep learning", 2019.
    """
    curve = calibration_curve(cases, bins=bins)
    return sum(abs(one.predicted - one.observed) * one.cases for one in curve) / len(cases.happened)


def _calibration_error(cases: Cases, user: npt.NDArray[np.intp]) -> Estimate:
    """Small samples show an error where there is none: the interval tells how far resampled users show one."""
    users = int(user.max()) + 1
    at = user * BINS + _bins(cases.probability, BINS)
    gaps = np.bincount(at, cases.probability - cases.happened, minlength=users * BINS).reshape(users, BINS)
    counts = np.bincount(user, minlength=users).astype(np.float64)
    drawn = resampled_means(np.column_stack([gaps, counts]), seed=_SEED)
    errors = np.abs(drawn[:, :-1]).sum(axis=1) / drawn[:, -1]
    low, high = np.quantile(errors, [0.025, 0.975])
    return Estimate(expected_calibration_error(cases), float(low), float(high), users)


def _linearised(value: float, influence: Doubles, user: npt.NDArray[np.intp]) -> Estimate:
    """An estimate whose influence by row is given, mean 0: its interval by the bootstrap over users."""
    sums = np.bincount(user, influence)
    spread = bootstrap(sums[:, None] * (len(sums) / len(influence)), seed=_SEED)[0]
    return Estimate(value, value + spread.low - spread.value, value + spread.high - spread.value, len(sums))


def _auc_influence(probability: Doubles, happened: Mask) -> Doubles:
    """Of each row: how far its placement among the other class lies from the mean, by the share of its own class."""
    ordered = {side: np.sort(probability[happened == side]) for side in (False, True)}
    below = np.empty(len(probability))
    for side, others in ordered.items():
        mine = happened != side
        left = np.searchsorted(others, probability[mine], side="left")
        right = np.searchsorted(others, probability[mine], side="right")
        share = (left + right) / 2 / len(others)
        below[mine] = (share if not side else 1 - share) - (share.mean() if not side else 1 - share.mean())
    own = np.where(happened, happened.mean(), 1 - happened.mean())
    influence: Doubles = below / own
    return influence


def _bins(probability: Doubles, bins: int) -> npt.NDArray[np.intp]:
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, probability, side="left")


def _some(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.flatnonzero(counts)


def _safe(probability: Doubles) -> Doubles:
    return np.clip(probability, 1e-15, 1 - 1e-15)
