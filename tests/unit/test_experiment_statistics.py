"""Experiments and logs of propensities answer with the right error rates, against simulated truth."""

from dataclasses import replace

import numpy as np
import pytest

from data_contracts.errors import InputError
from spark_jobs.evaluation.experiment import ArmSums, compare, mismatch_p, verdict
from spark_jobs.evaluation.intervals import around
from spark_jobs.evaluation.off_policy import LoggedExposures, off_policy

RUNS = 1000


def arm(rng: np.random.Generator, users: int, *, lift: float = 0.0) -> ArmSums:
    """Users of unlike activity and appetite, which are the same before and after."""
    exposures = rng.poisson(5, users) + 1.0
    appetite = rng.beta(1, 9, users)
    clicks = rng.binomial(exposures.astype(int), appetite)
    before = rng.poisson(10 * appetite).astype(np.float64)
    return ArmSums(exposures, clicks.astype(np.float64), rng.poisson(10 * appetite + lift).astype(np.float64), before)


def test_a_thousand_experiments_without_effect_are_false_positives_at_the_nominal_rate() -> None:
    rng = np.random.default_rng(7)
    compared = [compare(arm(rng, 400), arm(rng, 400)) for _ in range(RUNS)]
    for name in ("ctr_difference", "conversion_difference", "conversion_difference_cuped"):
        found = [getattr(one, name) for one in compared]
        wrong = sum(not estimate.low <= 0 <= estimate.high for estimate in found)
        assert 30 <= wrong <= 72, name  # 50 expected; the binomial's 99.8 % interval


def test_cuped_narrows_the_interval_and_keeps_the_effect() -> None:
    rng = np.random.default_rng(7)
    one = compare(arm(rng, 20_000, lift=0.1), arm(rng, 20_000))
    plain, cuped = one.conversion_difference, one.conversion_difference_cuped
    assert cuped.high - cuped.low < 0.95 * (plain.high - plain.low)
    assert cuped.low < 0.1 < cuped.high
    assert "better" in verdict({"b": one}, {}, p_mismatch=0.5)


def test_what_one_arm_may_claim_one_of_many_may_not() -> None:
    rng = np.random.default_rng(7)
    same = compare(arm(rng, 500), arm(rng, 500))
    barely = replace(same, conversion_difference_cuped=around(0.021, 0.01, 1_000))
    assert "better" in verdict({"b": barely}, {}, p_mismatch=0.5)
    many = verdict({"b": barely, "c": barely}, {}, p_mismatch=0.5)
    assert many == "no difference is shown yet: every interval, widened for 2 comparisons, includes 0"
    harm = {"complaints": barely.conversion_difference_cuped}
    assert verdict({"b": same}, {"b": harm}, p_mismatch=0.5).startswith("stop")
    assert "stop" not in verdict({"b": same}, {"b": {**harm, "opt_outs": same.ctr_difference}}, p_mismatch=0.5)


def test_the_verdict_puts_validity_and_harm_before_gain() -> None:
    rng = np.random.default_rng(7)
    one = compare(arm(rng, 20_000, lift=0.1), arm(rng, 20_000))
    assert verdict({"b": one}, {}, p_mismatch=mismatch_p([5_300, 4_700], [0.5, 0.5])).startswith("invalid")
    assert verdict({"b": one}, {"b": {"complaints": one.conversion_difference}}, p_mismatch=0.5).startswith("stop")
    same = compare(arm(rng, 500), arm(rng, 500))
    assert "no difference" in verdict({"b": same}, {}, p_mismatch=mismatch_p([5_030, 4_970], [1, 1]))


def log_of(rng: np.random.Generator, users: int, *, model: float = 0.0, reach: float = 1.0) -> LoggedExposures:
    """Three items paid with .1, .2 and .3, shown evenly; the target likes the last. Truth: .26.

    model: how wrong the reward model is; reach: how much of the target logging supports.
    """
    paid, target = np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.7])
    user_ids = np.repeat(np.arange(users), 3)
    shown = rng.integers(0, 3, len(user_ids))
    return LoggedExposures(
        user_ids=user_ids,
        reward=rng.binomial(1, paid[shown]).astype(np.float64),
        logged=np.full(len(user_ids), 1 / 3),
        target=target[shown],
        expected=paid[shown] + model,
        expected_target=np.full(len(user_ids), paid @ target + model),
        supported=np.full(len(user_ids), reach),
    )


@pytest.mark.parametrize("model", [0.0, 0.2], ids=["a right model", "a wrong model"])
def test_estimates_cover_the_truth_of_a_simulation_as_often_as_they_say(model: float) -> None:
    rng = np.random.default_rng(7)
    found = [off_policy(log_of(rng, 800, model=model)) for _ in range(300)]
    for name in ("ips", "snips", "doubly_robust"):
        estimates = [getattr(one, name) for one in found]
        assert np.mean([one.value for one in estimates]) == pytest.approx(0.26, abs=0.003), name
        covered = np.mean([one.low <= 0.26 <= one.high for one in estimates])
        assert 0.91 <= covered <= 0.985, name


def test_a_right_model_makes_doubly_robust_narrower_than_ips() -> None:
    found = off_policy(log_of(np.random.default_rng(7), 5_000))
    assert found.doubly_robust.high - found.doubly_robust.low < found.ips.high - found.ips.low


def test_a_log_that_cannot_answer_says_why() -> None:
    rng = np.random.default_rng(7)
    with pytest.raises(InputError, match="effective exposures are fewer"):
        off_policy(log_of(rng, 300))
    with pytest.raises(InputError, match=r"overlap 0\.70 is below"):
        off_policy(log_of(rng, 5_000, reach=0.7))
    with pytest.raises(InputError, match="fewer than two users"):
        compare(arm(rng, 1), arm(rng, 5))


def test_effective_size_of_even_weights_is_the_number_of_exposures() -> None:
    log = log_of(np.random.default_rng(7), 100)
    even = LoggedExposures(**{**vars(log), "target": log.logged})
    assert even.effective_size == pytest.approx(300)
