"""Arms of an experiment compared: rates with intervals, CUPED, sample-ratio mismatch, and a verdict in words.

Sources: the delta method for ratios over users, Deng, Knoblich and Lu (KDD 2018); CUPED, Deng, Xu, Kohavi and Walker
(WSDM 2013); sample-ratio mismatch, Fabijan et al. (KDD 2019), whose threshold of .0005 is used; many comparisons at
once, Bonferroni's correction, Dunn (JASA 1961).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from data_contracts.errors import InputError
from data_contracts.experiments import Metric
from spark_jobs.evaluation.intervals import Estimate, around, held_together

Floats = NDArray[np.float64]

MISMATCH_P = 0.0005


@dataclass(frozen=True)
class ArmSums:
    """One arm's users, each array (users,). exposures > 0; before: the same outcome before the experiment began."""

    exposures: Floats
    clicks: Floats
    conversions: Floats
    before: Floats

    @property
    def users(self) -> int:
        return len(self.exposures)


@dataclass(frozen=True)
class Comparison:
    """An arm beside the control: its own rates, and the differences with intervals."""

    users: int
    exposures: int
    ctr: Estimate
    conversion: Estimate
    ctr_difference: Estimate
    conversion_difference: Estimate
    conversion_difference_cuped: Estimate

    def decisive(self, metric: Metric) -> Estimate:
        """The difference that the verdict is about."""
        return self.ctr_difference if metric is Metric.CTR else self.conversion_difference_cuped


def mismatch_p(users: Sequence[int], shares: Sequence[float]) -> float:
    """The p-value of a chi-squared test that users fell into arms by their shares."""
    expected = np.asarray(shares, np.float64) / sum(shares) * sum(users)
    return float(chisquare(users, expected).pvalue)


def compare(arm: ArmSums, control: ArmSums) -> Comparison:
    """Raises InputError where either has fewer than two users."""
    if min(arm.users, control.users) < 2:
        raise InputError("an arm has fewer than two users: there is nothing to compare yet")
    theta = _cuped_theta(arm, control)
    shifted = [side.conversions - theta * side.before for side in (arm, control)]
    return Comparison(
        users=arm.users,
        exposures=int(arm.exposures.sum()),
        ctr=_ratio(arm.clicks, arm.exposures),
        conversion=_mean(arm.conversions),
        ctr_difference=_difference(_ratio(arm.clicks, arm.exposures), _ratio(control.clicks, control.exposures)),
        conversion_difference=_difference(_mean(arm.conversions), _mean(control.conversions)),
        conversion_difference_cuped=_difference(_mean(shifted[0]), _mean(shifted[1])),
    )


def verdict(
    comparisons: Mapping[str, Comparison],
    guardrails: Mapping[str, Mapping[str, Estimate]],
    *,
    p_mismatch: float,
    metric: Metric = Metric.CONVERSION,
) -> str:
    """In words. comparisons: by arm; guardrails: by arm, differences of what must not rise, such as complaints.

    Intervals are widened until all that answer one question hold together with 95 % (Bonferroni; Dunn, "Multiple
    Comparisons among Means", JASA 1961): for harm those of all guardrails of all arms, for gain those of all arms. So
    of experiments in which nothing differs 2.5 % at most are stopped, and in 5 % an arm is called better or worse.
    """
    if p_mismatch < MISMATCH_P:
        return f"invalid: users did not fall into the arms by their shares (p = {p_mismatch:.2g}); find out why first"
    rails = [(arm, name, one) for arm, found in guardrails.items() for name, one in found.items()]
    harmed = [
        f"{name} of {arm} rose by {difference.value:.4f}"
        for arm, name, difference in rails
        if held_together(difference, len(rails)).low > 0
    ]
    if harmed:
        return f"stop: {'; '.join(harmed)}"
    found = {arm: held_together(one.decisive(metric), len(comparisons)) for arm, one in comparisons.items()}
    better = [arm for arm, difference in found.items() if difference.low > 0]
    worse = [arm for arm, difference in found.items() if difference.high < 0]
    if better:
        best = max(better, key=lambda arm: found[arm].value)
        return f"{best} is better than the control, {metric}: {_signed(found[best])}"
    if worse:
        return f"no arm is better, and {', '.join(worse)} worse than the control, {metric}"
    return f"no difference is shown yet: every interval{_widened(len(found))} includes 0"


def mean_difference(arm: Floats, control: Floats) -> Estimate:
    """Of a figure a user, each array (users,)."""
    return _difference(_mean(arm), _mean(control))


def _widened(comparisons: int) -> str:
    return f", widened for {comparisons} comparisons," if comparisons > 1 else ""


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"


def _cuped_theta(arm: ArmSums, control: ArmSums) -> float:
    """Of both together, so that the difference of the arms stays what it was; 0 where nothing was known before."""
    before = np.concatenate([arm.before, control.before])
    outcome = np.concatenate([arm.conversions, control.conversions])
    spread = float(before.var())
    return float(np.cov(outcome, before, bias=True)[0, 1]) / spread if spread else 0.0


def _ratio(of: Floats, over: Floats) -> Estimate:
    """Sum over sum, its error by the delta method over users."""
    value = float(of.sum() / over.sum())
    return around(value, _error(of - value * over) / float(over.mean()), len(of))


def _mean(values: Floats) -> Estimate:
    return around(float(values.mean()), _error(values), len(values))


def _error(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _difference(one: Estimate, other: Estimate) -> Estimate:
    """Of independent estimates: half widths add in squares."""
    half = float(np.hypot(one.high - one.value, other.high - other.value))
    value = one.value - other.value
    return Estimate(value, value - half, value + half, one.users + other.users)
