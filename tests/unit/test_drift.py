"""Distributions that moved and lists that turned over are measured as the literature defines it."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.gate import gate_rules
from data_contracts.quality import QUALITY_FILE
from data_contracts.scores import quantise
from data_contracts.tables import contract
from spark_jobs.monitoring.drift import ks, psi
from spark_jobs.monitoring.feature_drift import FAULTS, TRAINING, YESTERDAY, drift_rows, faults
from spark_jobs.monitoring.label_drift import Documents, LabelDrift, family_drifts, label_drifts
from spark_jobs.monitoring.model_scores import ScoreDrift, Spread
from spark_jobs.monitoring.overlap import rank_biased_overlap
from spark_jobs.monitoring.score_drift import PRODUCT_SCORE_DRIFT, SCORE_DRIFT, product_rows, score_drift_rows
from spark_jobs.monitoring.yesterday import Change
from tests.unit.quality_samples import beside, fared

RNG = np.random.default_rng(7)
SAMPLE = RNG.normal(size=20_000)


def test_a_distribution_does_not_drift_from_another_sample_of_itself() -> None:
    again = RNG.normal(size=20_000)
    assert psi(SAMPLE, again) < 0.01
    assert ks(SAMPLE, again) < 0.02


@pytest.mark.parametrize(
    "now",
    [SAMPLE + 1, SAMPLE * 100, np.zeros(20_000), np.where(np.arange(20_000) % 2, SAMPLE, np.nan)],
    ids=["moved by one deviation", "in another unit", "stuck at zero", "half of it missing"],
)
def test_a_planted_drift_is_beyond_the_line(now: np.ndarray) -> None:
    assert psi(SAMPLE, now) > 0.25


def test_psi_of_two_known_shares_is_its_formula() -> None:
    then, now = np.repeat([0.0, 1.0], [50, 50]), np.repeat([0.0, 1.0], [80, 20])
    assert psi(then, now, bins=2) == pytest.approx(0.3 * np.log(0.8 / 0.5) + -0.3 * np.log(0.2 / 0.5))


def test_ks_of_apart_and_of_nothing() -> None:
    assert ks(np.zeros(9), np.ones(9)) == 1.0
    assert ks(np.array([np.nan]), np.ones(9)) == 0.0 == psi(np.empty(0), np.ones(9))


def brute(one: list[int], other: list[int], p: float) -> float:
    """Webber, Moffat and Zobel's sum as it is written."""
    k = max(len(one), len(other))
    if not k:
        return 1.0
    shared = [len(set(one[:d]) & set(other[:d])) / d for d in range(1, k + 1)]
    return shared[-1] * p**k + (1 - p) / p * sum(share * p**d for d, share in enumerate(shared, start=1))


lists_of_items = st.lists(st.integers(0, 9), max_size=6, unique=True)


@given(st.lists(st.tuples(lists_of_items, lists_of_items), min_size=1, max_size=8), st.sampled_from([0.5, 0.9]))
def test_overlap_of_many_pairs_agrees_with_the_sum_as_written(
    pairs: list[tuple[list[int], list[int]]], p: float
) -> None:
    one, other = (np.array([[*pair[side], *[-1] * (6 - len(pair[side]))] for pair in pairs]) for side in (0, 1))
    found = rank_biased_overlap(one, other, persistence=p)
    assert found == pytest.approx([brute(*pair, p) for pair in pairs])
    assert (found <= 1 + 1e-12).all()
    assert rank_biased_overlap(one, one, persistence=p) == pytest.approx(1.0)


def night(seed: int) -> pa.Table:
    """Features as nights have them: counts mostly 0, amounts of those who are customers."""
    rng = np.random.default_rng(seed)
    amounts = np.where(rng.random(2_000) < 0.3, np.nan, rng.lognormal(8, 1, 2_000))
    return pa.table({"f_views": rng.poisson(0.4, 2_000).astype(np.float32), "f_turnover": amounts.astype(np.float32)})


PLANTED: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "features_stuck": ("f_views", np.zeros_like),
    "features_missing": ("f_turnover", lambda values: np.where(np.arange(len(values)) % 2, values, np.nan)),
    "features_rescaled": ("f_turnover", lambda values: values * 100),
    "features_drifted": ("f_turnover", lambda values: values * 3),
}


def found(now: pa.Table, against: str = YESTERDAY) -> dict[str, list[str]]:
    return faults(drift_rows(night(1), now, against=against, base=date(2026, 3, 15)))


def test_a_night_like_the_one_before_has_no_faults() -> None:
    assert found(night(2)) == {fault: [] for fault in FAULTS}
    assert FAULTS.keys() <= gate_rules().keys()


@pytest.mark.parametrize("fault", PLANTED)
def test_each_silent_breakage_is_caught_by_its_name(fault: str) -> None:
    feature, broken = PLANTED[fault]
    tables = night(2)
    values = pa.array(broken(tables.column(feature).to_numpy()).astype(np.float32))
    now = tables.set_column(tables.column_names.index(feature), feature, values)
    assert found(now)[fault] == [feature]
    assert found(now, against=TRAINING) == {}


def test_a_feature_that_only_one_night_knows_is_not_held_against_the_other() -> None:
    assert found(night(2).drop_columns(["f_views"]))["features_stuck"] == []


def documents(**positives: int) -> Documents:
    """Beside a night's models: of 100,000 newest cases of each family so many happened. The training of the ranker
    kept a quarter of the negatives.
    """
    training = {"training_positives": 400, "training_rows": 400 + (160_000 - 400) // 4}
    ranker = {"facts": training, "margin_shift": float(np.log(0.25))}
    return {**beside(products=fared(positives)), "products/ranker.json": ranker}


def drifts(now: Documents, then: Documents) -> dict[str, LabelDrift]:
    return {one.against: one for one in label_drifts("products", now, then)}


def test_labels_that_went_missing_or_came_twice_are_told_against_yesterday_and_training() -> None:
    same, *moved = (drifts(documents(card=now), documents(card=250)) for now in (250, 110, 600, 20, 0))
    assert same[YESTERDAY].times == pytest.approx(1.0)
    assert same[YESTERDAY].psi == same[YESTERDAY].ks == 0.0
    assert same[TRAINING].share_then == pytest.approx(0.0025)
    for one in moved:
        assert one[YESTERDAY].times > (gate_rules()["product_labels_since_yesterday"].at_most or 0)
        assert one[YESTERDAY].ks == pytest.approx(abs(one[YESTERDAY].share - 0.0025))
    vanished = moved[-1]
    assert vanished[TRAINING].times > (gate_rules()["product_labels_since_training"].at_most or 0)


def test_a_family_whose_labels_went_missing_is_told_though_all_together_hardly_moved() -> None:
    now, then = documents(card=5_000, loan=0), documents(card=5_000, loan=300)
    assert drifts(now, then)[YESTERDAY].times < 1.1
    told = {one.family: one.times for one in family_drifts("products", now, then)}
    assert told["card"] == 1.0
    assert told["loan"] > (gate_rules()["product_family_labels_since_yesterday"].at_most or 0)


def test_the_stability_index_of_a_share_is_that_of_its_two_bins() -> None:
    drift = LabelDrift(YESTERDAY, 0.2, 0.5)
    then, now = np.repeat([0.0, 1.0], [50, 50]), np.repeat([0.0, 1.0], [80, 20])
    assert drift.psi == pytest.approx(psi(then, now, bins=2))
    assert drift.ks == pytest.approx(ks(then, now))


def test_few_positives_or_an_unknown_night_or_training_say_nothing() -> None:
    few, many = documents(card=20), documents(card=250)
    assert drifts(few, documents(card=30)).keys() == {TRAINING}
    assert not list(family_drifts("products", few, documents(card=30)))
    assert drifts(many, {}).keys() == {TRAINING}
    assert not drifts({name: one for name, one in many.items() if name != QUALITY_FILE}, many)
    assert drifts({QUALITY_FILE: many[QUALITY_FILE]}, many).keys() == {YESTERDAY}


def test_scores_and_labels_of_a_night_are_rows_of_their_contract() -> None:
    change = Change(since="2026-03-15.1", users=900, overlap=0.8, drift=0.3, ks=0.2, mean=-4.0, mean_then=-3.5)
    moved = ScoreDrift.of(spread(0.1), spread(0.2), since=date(2026, 3, 10))
    then = documents(card=250)
    rows = list(score_drift_rows({"offer": change}, {"product": moved}, documents(card=300), then))
    assert [(row["measure"], row["against"]) for row in rows] == [
        ("offer_score", YESTERDAY),
        ("product_score", TRAINING),
        ("product_labels", YESTERDAY),
        ("product_labels", TRAINING),
    ]
    assert all({*row, "as_of"} == set(contract(SCORE_DRIFT).column_names) for row in rows)
    assert rows[2]["mean"] == pytest.approx(0.003)
    (row,) = product_rows({"card_gold": moved})
    assert {*row, "as_of"} == set(contract(PRODUCT_SCORE_DRIFT).column_names)


def spread(probability: float, lists: int = 20_000) -> Spread:
    """Scores about a probability, one list in ten without any."""
    odds = np.log(probability / (1 - probability)) + RNG.normal(size=lists)
    return Spread.of(np.where(np.arange(lists) % 10, quantise(1 / (1 + np.exp(-odds))).astype(np.int64), -1))


def test_a_few_hundred_ranks_tell_the_drift_of_all_scores() -> None:
    whole = {
        probability: np.sort(RNG.normal(np.log(probability / (1 - probability)), 1, 20_000))
        for probability in (0.1, 0.13)
    }
    then, now = (Spread.of(quantise(1 / (1 + np.exp(-odds)))) for odds in whole.values())
    assert (then.lists, len(then.scores)) == (20_000, 500)
    moved = ScoreDrift.of(then, now, since=date(2026, 3, 10))
    assert moved.psi == pytest.approx(psi(*whole.values()), abs=0.02)
    assert moved.ks == pytest.approx(ks(*whole.values()), abs=0.01)
    assert (moved.mean, moved.mean_then) == pytest.approx([whole[0.13].mean(), whole[0.1].mean()], abs=0.01)


def test_lists_without_any_item_are_a_drift_of_their_own() -> None:
    full = Spread.of(np.full(1_000, 30_000))
    half = Spread.of(np.where(np.arange(1_000) % 2, 30_000, -1))
    assert ScoreDrift.of(full, half, since=date(2026, 3, 10)).psi > 0.25
    assert ScoreDrift.of(full, Spread.of(np.empty(0)), since=date(2026, 3, 10)).psi == 0.0
