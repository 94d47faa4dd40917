"""Rolling evaluation of product rankers: what it learns from, what it is judged on, and that it tells good from bad."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise, product

import numpy as np
import pytest

from spark_jobs.candidates.strangers import stranger_rates
from spark_jobs.evaluation.product_figures import best_products, product_report
from spark_jobs.evaluation.rolling import FoldReport, SeenUsers, baselines, outcomes_of, rolling_report, rolling_windows
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.products import LabelledUsers
from spark_jobs.ranking.rows import ProductTable, product_feature_names

AS_OF = date(2026, 3, 16)
WINDOWS = rolling_windows(AS_OF, folds=2, horizon_days=7, gap_hours=12, timezone="Europe/Moscow")
FEATURES = ("f_holdings_tenure", "f_money_balance")
PRODUCTS, USERS = 6, 500


def seen(number: int) -> SeenUsers:
    """Rich users open product 0, the others product 1, half of the time; segment 2 is twice as often rich."""
    draws = np.random.default_rng(number)
    segment = np.where(np.arange(USERS) % 2, 2, 1).astype(np.int16)
    is_rich = draws.random(USERS) < np.where(segment == 2, 0.6, 0.3)
    labels = np.zeros((USERS, PRODUCTS), bool)
    opens = draws.random(USERS) < 0.5
    labels[:, 0], labels[:, 1] = opens & is_rich, opens & ~is_rich
    priors = np.full((PRODUCTS, len(product_feature_names())), -2.0, np.float32)
    table = ProductTable(
        ids=tuple(f"p{n}" for n in range(PRODUCTS)),
        families=np.arange(PRODUCTS) % 3,
        values=np.ones(PRODUCTS, np.float32),
        features=priors + np.arange(PRODUCTS, dtype=np.float32)[:, None],
        is_new=np.zeros(PRODUCTS, bool),
    )
    features = np.column_stack([draws.integers(0, 2000, USERS), is_rich + draws.normal(0, 0.1, USERS)])
    eligible = np.ones((USERS, PRODUCTS), bool)
    eligible[:, 5] = False
    pairs = np.zeros((USERS, PRODUCTS, 0), np.float32)
    users = LabelledUsers(np.arange(USERS), features.astype(np.float32), pairs, eligible, labels, table)
    held = np.zeros((USERS, PRODUCTS), bool)
    return SeenUsers(WINDOWS[number], users, segment, held, FEATURES, ())


SEEN = [seen(number) for number in range(len(WINDOWS))]
BOOSTER = BoosterParams(rounds=60, depth=3, learning_rate=0.2, column_share=1.0)
REPORT = rolling_report(SEEN, k=2, booster=BOOSTER, seed=1, threads=1)


def test_labels_end_before_the_next_as_of_looks_and_a_gap_parts_them_from_what_was_known() -> None:
    for newer, older in pairwise(WINDOWS):
        assert older.end.date() <= newer.as_of
        assert older.start - newer.start <= timedelta(days=-7)
    assert WINDOWS[0].end.date() <= AS_OF
    assert all((window.start.hour, window.start.date()) == (12, window.as_of) for window in WINDOWS)


def test_each_fold_is_trained_and_calibrated_on_older_windows_than_it_is_judged_on() -> None:
    assert len(REPORT.folds) == 2
    assert REPORT.folds[0].learned.keys() == {"loan", "card", "deposit"}
    assert sum(REPORT.folds[0].learned.values()) == sum(int(one.users.labels.sum()) for one in SEEN[1:3])
    for fold in REPORT.folds:
        assert fold.train.end <= fold.test.start
        assert fold.train.as_of < fold.calibrate.as_of < fold.test.as_of


def test_who_knows_the_person_beats_the_segment_and_the_segment_everybody() -> None:
    found = REPORT.together.figures["all"]
    assert found["ranked-segment"]["ndcg@2"].low > 0.05
    assert found["ranked"]["auc"].low > found["segment"]["auc"].high
    assert found["segment"]["auc"].value > found["popular"]["auc"].value
    assert found["ranked"]["log_loss"].high < found["popular"]["log_loss"].low
    assert 0.8 < found["ranked"]["predicted_over_observed"].value < 1.2


def test_what_happened_after_a_fold_does_not_move_it() -> None:
    shuffled = SEEN[0].users.labels[::-1].copy()
    other = replace(SEEN[0], users=replace(SEEN[0].users, labels=shuffled))
    moved = rolling_report([other, *SEEN[1:]], k=2, booster=BOOSTER, seed=1, threads=1)
    assert _values(moved.folds[1]) == pytest.approx(_values(REPORT.folds[1]), nan_ok=True)
    assert _values(moved.folds[0]) != pytest.approx(_values(REPORT.folds[0]), nan_ok=True)


def _values(fold: FoldReport) -> dict[tuple[str, str, str], float]:
    """Without the ends of intervals, whose last digit differs from one sum to the next."""
    return {
        (where, model, metric): estimate.value
        for where, models in fold.report.figures.items()
        for model, metrics in models.items()
        for metric, estimate in metrics.items()
    }


def test_every_slice_with_enough_openings_is_told_with_curves_by_family() -> None:
    told = REPORT.together
    assert {"all", "family loan", "family card", "segment 1", "segment 2", "tenure below a year"} <= set(told.figures)
    assert "family deposit" not in told.figures
    assert set(told.curves) == {"all", "loan", "card"}
    assert told.figures["segment 1"]["ranked"]["auc"].users == USERS // 2  # the same people in both folds
    assert told.as_json()["calibration"]["card"][-1].keys() == {"predicted", "observed", "cases"}  # type: ignore[index]


def test_a_list_holds_the_best_eligible_products_and_is_padded() -> None:
    scores = np.array([[0.1, 0.3, 0.2]], np.float32)
    listed = best_products(scores, np.array([[True, False, True]]), k=3)
    assert listed.tolist() == [[2, 0, -1]]


def test_a_small_segment_is_drawn_to_everybodys_rate() -> None:
    rates = baselines(SEEN[0], SEEN[1:3])
    own = np.mean([one.users.labels[one.segment == 2, 0].mean() for one in SEEN[1:3]])
    told = rates["segment"][SEEN[0].segment == 2, 0][0]
    assert rates["popular"][0, 0] < told < own


def test_the_segment_baseline_is_what_the_night_makes_of_its_last_two_horizons() -> None:
    """As the night counts: openings of whoever is in a segment, eligible or not, and users once a horizon."""
    past = [replace(one, users=replace(one.users, eligible=one.users.eligible & False)) for one in SEEN[1:3]]
    openings = np.zeros((3, PRODUCTS))
    for one, number in product(past, range(3)):
        openings[number] += one.users.labels[one.segment == number].sum(axis=0)
    users = np.array([0, USERS, USERS], np.float64)  # a half of them each, twice
    made = stranger_rates(openings, users, np.zeros((3, PRODUCTS)))
    np.testing.assert_allclose(baselines(SEEN[0], past)["segment"], made[SEEN[0].segment], rtol=1e-6)


def test_perfect_probabilities_have_perfect_lists() -> None:
    outcomes = outcomes_of(SEEN[0])
    report = product_report(outcomes, {"truth": outcomes.opened.astype(np.float32)}, k=2)
    assert report.figures["all"]["truth"]["ndcg@2"].value == pytest.approx(1.0)
    assert report.figures["all"]["truth"]["auc"].value == 1.0
