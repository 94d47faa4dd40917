"""How good probabilities are, against scikit-learn and against what an interval promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.calibration import calibration_curve as sklearn_curve
from sklearn.metrics import log_loss, roc_auc_score

from spark_jobs.evaluation.probabilities import (
    Cases,
    calibration_curve,
    expected_calibration_error,
    probability_figures,
)


def drawn(seed: int, *, users: int = 400, each: int = 10, factor: float = 1.0) -> Cases:
    """Users whose cases share a temper; `factor` is how much too high the told probability is."""
    draws = np.random.default_rng(seed)
    temper = np.repeat(draws.normal(0, 1, users), each)
    truth = 1 / (1 + np.exp(2 - temper - draws.normal(0, 0.5, users * each)))
    happened = draws.random(users * each) < truth
    return Cases(np.repeat(np.arange(users), each), np.minimum(factor * truth, 1.0), happened)


def test_figures_agree_with_scikit_learn() -> None:
    cases = drawn(1)
    figures = probability_figures(cases)
    assert figures["auc"].value == pytest.approx(roc_auc_score(cases.happened, cases.probability), abs=1e-6)
    assert figures["log_loss"].value == pytest.approx(log_loss(cases.happened, cases.probability))
    curve = calibration_curve(cases)
    observed, predicted = sklearn_curve(cases.happened, cases.probability, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([one.observed for one in curve], observed, atol=0.02)
    np.testing.assert_allclose([one.predicted for one in curve], predicted, atol=0.02)
    assert sum(one.cases for one in curve) == len(cases.happened)


@st.composite
def told_and_happened(draw: st.DrawFn) -> Cases:
    """Ties and all: probabilities of few or many steps, of either label at least one."""
    size, steps = draw(st.integers(2, 60)), draw(st.sampled_from([3, 10, 10_000]))
    probability = draw(arrays.arrays(np.int64, size, elements=st.integers(1, steps - 1))) / steps
    happened = draw(arrays.arrays(np.bool_, size))
    happened[0], happened[-1] = False, True
    return Cases(np.arange(size) // 3, probability, happened)


@settings(max_examples=30, deadline=None)
@given(cases=told_and_happened())
def test_figures_of_any_cases_agree_with_scikit_learn(cases: Cases) -> None:
    figures, happened, probability = probability_figures(cases), cases.happened, cases.probability
    assert figures["auc"].value == pytest.approx(roc_auc_score(happened, probability), abs=1e-6)
    assert figures["log_loss"].value == pytest.approx(log_loss(happened, probability))
    assert figures["predicted_over_observed"].value == pytest.approx(probability.sum() / happened.sum())
    curve = calibration_curve(cases)
    observed, predicted = sklearn_curve(happened, probability, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([one.observed for one in curve], observed)
    np.testing.assert_allclose([one.predicted for one in curve], predicted)


@settings(max_examples=60, deadline=None)
@given(cases=told_and_happened(), bins=st.integers(1, 12))
def test_the_calibration_error_is_its_definition_over_tenths_by_rank(cases: Cases, bins: int) -> None:
    """Case by case: a bin is how many of the inner quantiles (linear between neighbours) lie below a probability."""
    ordered = sorted(cases.probability.tolist())
    gaps: dict[int, list[float]] = {}
    edges = []
    for number in range(1, bins):
        place = number / bins * (len(ordered) - 1)
        below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
        edges.append(below + (above - below) * (place - math.floor(place)))
    for probability, happened in zip(cases.probability.tolist(), cases.happened.tolist(), strict=True):
        at = sum(edge < probability - 1e-12 for edge in edges)
        gaps.setdefault(at, []).append(probability - happened)
    expected = sum(abs(sum(gap)) for gap in gaps.values()) / len(ordered)
    assert expected_calibration_error(cases, bins=bins) == pytest.approx(expected)


def test_distinct_probabilities_fall_into_bins_of_equal_size() -> None:
    draws = np.random.default_rng(5)
    cases = Cases(np.arange(200), draws.permutation(200) / 250, draws.random(200) < 0.3)
    order = np.argsort(cases.probability)
    parts = [(cases.probability[part], cases.happened[part]) for part in np.split(order, 10)]
    assert expected_calibration_error(cases) == pytest.approx(
        np.mean([abs(probability.mean() - happened.mean()) for probability, happened in parts])
    )
    assert [one.cases for one in calibration_curve(cases)] == [20] * 10


def test_probabilities_that_are_too_high_are_told() -> None:
    honest, boastful = (probability_figures(drawn(2, users=2000, factor=factor)) for factor in (1.0, 1.5))
    assert honest["predicted_over_observed"].low < 1 < honest["predicted_over_observed"].high
    assert boastful["predicted_over_observed"].low > 1.3
    assert boastful["ece"].low > honest["ece"].high


def test_the_calibration_error_is_its_definition() -> None:
    cases = Cases(np.arange(8), np.array([0.1] * 4 + [0.9] * 4), np.array([0, 0, 0, 1, 1, 1, 0, 0], bool))
    assert expected_calibration_error(cases) == pytest.approx((0.15 * 4 + 0.4 * 4) / 8)


def test_an_interval_is_as_wide_as_repetitions_spread() -> None:
    told = [probability_figures(drawn(seed, users=150)) for seed in range(30)]
    for name in ("auc", "log_loss", "predicted_over_observed"):
        spread = np.std([one[name].value for one in told]) * 2 * 1.96
        width = np.mean([one[name].high - one[name].low for one in told])
        assert 0.65 < width / spread < 1.5


def test_one_outcome_alone_has_no_area_and_nobody_has_nothing() -> None:
    quiet = Cases(np.arange(5), np.full(5, 0.2), np.zeros(5, bool))
    assert set(probability_figures(quiet)) == {"log_loss", "ece"}
    assert probability_figures(quiet.take(np.zeros(5, bool))) == {}
