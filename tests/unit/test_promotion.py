"""The rule of promotion: a better challenger wins, a lucky, lopsided, miscalibrated or prohibited one does not."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from data_contracts.errors import InputError
from data_contracts.models import Aliases, DataFacts, ModelVersion, NightModels
from data_contracts.night import Train
from spark_jobs.evaluation.intervals import Estimate
from spark_jobs.lifecycle.fold import Comparison, auc_of, compare, quality
from spark_jobs.lifecycle.planning import plan_night
from spark_jobs.lifecycle.promotion import judge_challenger, require_allowed
from spark_jobs.ranking.calibration import sigmoid
from spark_jobs.ranking.newest import F64, Fold

FEATURES = ("f_customer_age", "f_credit_limit")
DAY = date(2026, 3, 16)
WINNER = Comparison(
    users=900,
    positives=400,
    gain=Estimate(0.03, 0.01, 0.05, 900),
    families={"card": 0.04, "loan": -0.04},
    calibration={"card": 1.1, "loan": 0.9},
)


def _failed(compared: Comparison, features: tuple[str, ...] = FEATURES) -> set[str]:
    return {check.name for check in judge_challenger(compared, features).failures}


def test_a_challenger_that_is_surely_better_takes_over() -> None:
    assert _failed(WINNER) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"gain": Estimate(0.03, -0.001, 0.06, 900)}, "gain"),
        ({"families": {"card": 0.2, "loan": -0.06}}, "family_gain"),
        ({"calibration": {"card": 1.0, "loan": 1.5}}, "calibration"),
        ({"calibration": {"card": 0.6}}, "calibration"),
        ({"positives": 49}, "enough_cases"),
    ],
)
def test_each_broken_rule_is_named(change: dict[str, object], rule: str) -> None:
    assert _failed(replace(WINNER, **change)) == {rule}  # type: ignore[arg-type]


def test_a_prohibited_feature_stops_any_model() -> None:
    assert _failed(WINNER, (*FEATURES, "f_customer_gender")) == {"prohibited_features"}
    with pytest.raises(InputError, match="f_customer_gender"):
        require_allowed((*FEATURES, "f_customer_gender"))
    require_allowed(FEATURES)


@given(
    low=st.floats(-1, 1),
    worst=st.floats(-1, 1),
    ratio=st.floats(0.05, 20),
    positives=st.integers(0, 1000),
)
def test_whoever_takes_over_is_better_nowhere_much_worse_and_calibrated(
    low: float, worst: float, ratio: float, positives: int
) -> None:
    compared = replace(
        WINNER, gain=Estimate(1, low, 2, 9), families={"loan": worst}, calibration={"loan": ratio}, positives=positives
    )
    if judge_challenger(compared, FEATURES).passed:
        assert low > 0
        assert worst >= -0.05
        assert 0.7 < ratio < 1.4
        assert positives >= 50


def _fold(seed: int = 1, users: int = 1500) -> tuple[Fold, F64]:
    """Four cases a user, of two families; the log odds that the labels were drawn from."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-2, 1.2, size=users * 4)
    labels = rng.random(users * 4) < sigmoid(truth)
    user_ids = np.repeat(np.arange(users, dtype=np.int64), 4)
    return Fold(user_ids, labels, np.tile(np.array([0, 1, 0, 1], np.int64), users), ("card", "loan")), truth


def test_the_truth_beats_noise_and_not_the_other_way_round() -> None:
    fold, truth = _fold()
    noisy = truth + np.random.default_rng(2).normal(0, 2, size=len(truth))
    assert judge_challenger(compare(fold, challenger=truth, champion=noisy, seed=3), FEATURES).passed
    assert "gain" in _failed(compare(fold, challenger=noisy, champion=truth, seed=3))


def test_a_champion_does_not_lose_to_itself() -> None:
    fold, truth = _fold()
    compared = compare(fold, challenger=truth, champion=truth, seed=3)
    assert compared.gain.low <= 0
    assert set(compared.families) == {"card", "loan"}
    assert "gain" in _failed(compared)


def test_a_challenger_whose_level_is_off_is_stopped_by_its_calibration_as_served() -> None:
    fold, truth = _fold()
    noisy = truth + np.random.default_rng(2).normal(0, 2, size=len(truth))
    compared = compare(fold, challenger=truth + 1, champion=noisy, seed=3)
    assert compared.calibration == pytest.approx({"card": 2.0, "loan": 2.0}, abs=0.3)
    assert _failed(compared) == {"calibration"}


def test_a_level_that_is_off_changes_the_gain_on_neither_side() -> None:
    fold, truth = _fold()
    noisy = truth + np.random.default_rng(2).normal(0, 2, size=len(truth))
    fair = compare(fold, challenger=truth, champion=noisy, seed=3).gain
    for own, theirs in ((truth + 1, noisy), (truth, noisy + 1)):
        found = compare(fold, challenger=own, champion=theirs, seed=3).gain
        assert (found.low, found.value, found.high) == pytest.approx((fair.low, fair.value, fair.high), rel=1e-3)


def test_auc_is_that_of_scikit_learn_and_its_interval_holds_it() -> None:
    fold, truth = _fold(users=400)
    found = auc_of(fold, truth)
    assert found.value == pytest.approx(roc_auc_score(fold.labels, truth))
    assert found.low < found.value < found.high
    assert quality(fold, sigmoid(truth)).families == pytest.approx({"card": 1.0, "loan": 1.0}, abs=0.3)


DATA = DataFacts(features=FEATURES, contracts={"gold.user_features": "1.1"}, settings={"horizon_days": "7"})
MODEL = ModelVersion(name="products", version=3, as_of=DAY, uri="x", files={}, **DATA.model_dump())
BOTH = {"products": DATA, "offers": DATA}


def _plan(
    day: int, train: Train = "auto", *, model: ModelVersion = MODEL, drifted: int = 0, away: str | None = None
) -> NightModels:
    aliases = {
        "products": Aliases(champion=model, last_trained=model.as_of),
        "offers": Aliases(champion=model.model_copy(update={"name": "offers"}), last_trained=model.as_of),
        "uplift": Aliases(),
    }
    as_of = date(2026, 3, day)
    return plan_night(as_of=as_of, train=train, every_days=7, aliases=aliases, data=BOTH, drifted=drifted, away=away)


def test_a_night_trains_after_a_week_or_when_features_have_drifted() -> None:
    assert not _plan(22).train
    assert _plan(22).used["products"] == MODEL
    assert "7 days ago" in _plan(23).why
    assert not _plan(17, drifted=20).train
    assert "21 more features" in _plan(17, drifted=21).why
    assert not _plan(17, drifted=21, model=MODEL.model_copy(update={"drifted": 21})).train


def test_a_lake_without_campaigns_to_learn_from_does_not_train_the_same_night_twice() -> None:
    assert not _plan(DAY.day).train


def test_what_is_asked_for_holds() -> None:
    assert _plan(17, "always").train
    assert not _plan(30, "never", drifted=99).train


def test_without_a_champion_a_night_trains_unless_it_must_not() -> None:
    nothing = {"products": Aliases(), "offers": Aliases()}
    known = {"as_of": DAY, "every_days": 7, "aliases": nothing, "data": BOTH, "drifted": 0}
    assert plan_night(train="auto", **known).registers  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no champion to score with"):
        plan_night(train="never", **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"features": ("f_customer_age",)}, "new: f_credit_limit"),
        ({"features": (*FEATURES, "f_gone")}, "gone: f_gone"),
        ({"contracts": {"gold.user_features": "2.0"}}, r"trained on gold\.user_features 2\.0"),
        ({"settings": {"horizon_days": "30"}}, "horizon_days is 30"),
    ],
)
def test_a_champion_that_cannot_read_tonights_data_is_refused_with_the_difference(
    change: dict[str, object], why: str
) -> None:
    other = MODEL.model_copy(update=change)
    with pytest.raises(InputError, match=why):
        _plan(17, "never", model=other)
    assert "cannot score" in _plan(17, model=other).why


def test_a_minor_version_of_a_contract_changes_nothing() -> None:
    assert not _plan(17, model=MODEL.model_copy(update={"contracts": {"gold.user_features": "1.0"}})).train


def test_while_the_registry_is_away_the_champion_that_it_named_last_scores() -> None:
    plan = _plan(30, away="away")
    assert (plan.train, plan.registers, plan.warnings) == (False, False, ("away",))


def test_an_older_night_is_not_scored_by_a_model_that_has_seen_later_days() -> None:
    plan = _plan(10)
    assert plan.train
    assert not plan.registers
    with pytest.raises(InputError, match="has seen days after"):
        _plan(10, "never")
