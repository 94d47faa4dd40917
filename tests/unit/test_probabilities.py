"""How good probabilities are, against scikit-learn and against what an interval promises."""

import numpy as np
import pytest
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
