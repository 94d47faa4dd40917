"""Platt scaling per family, shrunk to the global fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from spark_jobs.ranking.calibration import auc, fit_calibrator, fit_platt, log_loss, sigmoid
from spark_jobs.ranking.kernel import F32


def _outcomes(margins: F32, slope: float, intercept: float, seed: int) -> F32:
    chance = np.random.default_rng(seed).random(len(margins))
    return (chance < sigmoid(slope * margins.astype(np.float64) + intercept)).astype(np.float32)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -2.0), (2.0, 1.0)])
def test_a_fit_finds_the_slope_and_intercept_that_made_the_outcomes(slope: float, intercept: float) -> None:
    margins = np.random.default_rng(1).normal(-1, 2, 50_000).astype(np.float32)
    fit = fit_platt(margins, _outcomes(margins, slope, intercept, seed=2))
    assert fit.slope == pytest.approx(slope, abs=0.05)
    assert fit.intercept == pytest.approx(intercept, abs=0.1)


def test_calibrated_probabilities_sum_to_the_number_of_openings() -> None:
    margins = np.random.default_rng(3).normal(-4, 1, 20_000).astype(np.float32)
    labels = _outcomes(margins, 0.7, 0.5, seed=4)
    fit = fit_platt(margins, labels)
    expected = sigmoid(fit.slope * margins + fit.intercept).sum()
    assert expected == pytest.approx(labels.sum(), rel=0.02)


def test_one_class_alone_teaches_nothing() -> None:
    fit = fit_platt(np.array([1.0, -1.0], np.float32), np.zeros(2, np.float32))
    assert (fit.slope, fit.intercept) == (1.0, 0.0)


@given(seed=st.integers(0, 1000), size=st.integers(2, 60), scale=st.floats(0.1, 50))
def test_a_fit_is_finite_on_any_small_data(seed: int, size: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    margins = rng.normal(0, scale, size).astype(np.float32)
    fit = fit_platt(margins, (margins > 0).astype(np.float32))
    assert np.isfinite([fit.slope, fit.intercept]).all()


def test_a_family_with_few_cases_keeps_near_the_global_fit() -> None:
    rng = np.random.default_rng(5)
    margins = rng.normal(0, 1, 10_000).astype(np.float32)
    groups = np.where(np.arange(10_000) < 30, 1, 0).astype(np.int64)
    labels = np.where(groups == 1, 1 - (margins > 0), _outcomes(margins, 1.0, 0.0, seed=6)).astype(np.float32)
    calibrator = fit_calibrator(margins, labels, groups, ["card", "loan"])
    assert calibrator.groups["loan"].slope > 0.5 * calibrator.overall.slope


def test_a_sample_of_negatives_that_is_weighed_calibrates_as_all_of_them_do() -> None:
    rng = np.random.default_rng(13)
    margins = rng.normal(-3, 1, 60_000).astype(np.float32)
    groups = (np.arange(60_000) % 2).astype(np.int64)
    labels = _outcomes(margins, 0.9, -0.3, seed=14)
    kept = (labels > 0) | (rng.random(60_000) < 0.25)
    whole = fit_calibrator(margins, labels, groups, ["card", "loan"])
    weights = np.where(labels > 0, 1.0, 4.0)[kept]
    few = fit_calibrator(margins[kept], labels[kept], groups[kept], ["card", "loan"], weights=weights)
    for name, pair in whole.groups.items():
        own = few.groups[name]
        assert (own.slope, own.intercept) == pytest.approx((pair.slope, pair.intercept), abs=0.12)


def test_the_level_of_a_family_goes_from_that_of_all_to_its_own_with_its_cases() -> None:
    rng = np.random.default_rng(15)
    told = []
    for cases in (300, 3_000, 60_000):
        margins = rng.normal(-3, 1, 60_000 + cases).astype(np.float32)
        groups = (np.arange(len(margins)) >= 60_000).astype(np.int64)
        labels = np.where(groups == 1, _outcomes(margins, 1, 0.7, seed=16), _outcomes(margins, 1, 0, seed=17))
        fitted = fit_calibrator(margins, labels.astype(np.float32), groups, ["card", "loan"])
        pair, mine = fitted.groups["loan"], groups == 1
        told.append(float(sigmoid(pair.slope * margins[mine] + pair.intercept).sum() / labels[mine].sum()))
    assert told[0] < told[1] < told[2] == pytest.approx(1.0, abs=0.02)
    assert told[1] > 0.85


def test_a_large_family_keeps_its_own_fit_and_an_unknown_one_the_global() -> None:
    margins = np.random.default_rng(7).normal(0, 1, 40_000).astype(np.float32)
    groups = (np.arange(40_000) % 2).astype(np.int64)
    labels = np.where(groups == 1, _outcomes(margins, 1, -2, seed=8), _outcomes(margins, 1, 1, seed=9))
    calibrator = fit_calibrator(margins, labels.astype(np.float32), groups, ["card", "loan"])
    slopes, intercepts = calibrator.coefficients(["loan", "mortgage"])
    assert intercepts[0] == pytest.approx(-2, abs=0.2)
    assert (slopes[1], intercepts[1]) == (calibrator.overall.slope, calibrator.overall.intercept)


def test_auc_and_log_loss_agree_with_scikit_learn_also_on_ties() -> None:
    rng = np.random.default_rng(10)
    scores = rng.integers(0, 20, 500).astype(np.float32)
    labels = (rng.random(500) < scores / 30).astype(np.float32)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert log_loss(sigmoid(scores - 10.0), labels) == pytest.approx(sklearn_log_loss(labels, sigmoid(scores - 10.0)))
