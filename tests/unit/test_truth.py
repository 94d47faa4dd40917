"""The ranker beside the truth: shares of the gap at its ends and between, and what is told to whom."""

from dataclasses import replace

import numpy as np
import pytest

from infra.bench.quality import fold_figures, launched_figures, truth_figures
from spark_jobs.evaluation.intervals import Estimate
from spark_jobs.evaluation.truth import best_by_truth, family_rates, truth_report
from spark_jobs.ranking.boosting import BoosterParams
from tests.unit.scoring_samples import labelled_users, small_ranker

USERS = replace(labelled_users(1500, 5), labels=np.zeros((1500, 5), bool))
LAYOUT = small_ranker().layout
_OWN = USERS.features[:, [2, 2, 0, 3, 3]]
TRUTH = 1 / (1 + np.exp(3.0 - 1.5 * _OWN - USERS.pairs[:, :, 0])).astype(np.float64)
# Two products change places for a third of the users.
SEGMENT = np.where(np.arange(1500)[:, None] % 3 == 1, TRUTH.mean(axis=0)[[1, 0, 2, 3, 4]], TRUTH.mean(axis=0)).astype(
    np.float32
)
BEST = best_by_truth(USERS, TRUTH, LAYOUT, params=BoosterParams(rounds=60, learning_rate=0.2), seed=1, threads=1)


def test_a_model_told_the_truth_of_others_orders_lists_almost_as_the_truth_does() -> None:
    report = truth_report(USERS, TRUTH.astype(np.float32), BEST, TRUTH, segment=SEGMENT, k=3)
    assert report.ndcg["personal"].value == pytest.approx(1.0)
    assert report.ndcg["segment"].high < report.ndcg["best"].low < 1.0
    assert report.closed.low > 1.0


@pytest.mark.parametrize(("blend", "least", "most"), [(0.0, -0.01, 0.01), (0.5, 0.1, 0.99), (1.0, 0.999, 1.001)])
def test_the_share_of_the_gap_runs_from_the_segments_list_to_the_best(blend: float, least: float, most: float) -> None:
    told = (blend * BEST + (1 - blend) * SEGMENT).astype(np.float32)
    report = truth_report(USERS, told, BEST, TRUTH, segment=SEGMENT, k=3)
    assert least <= report.closed.value <= most
    assert report.closed.low <= report.closed.value <= report.closed.high


def test_rates_tell_which_family_is_told_too_much() -> None:
    told = TRUTH.astype(np.float32)
    told[:, 2] *= 1.5
    rates = family_rates(told, TRUTH, USERS)
    assert rates["deposit"] == pytest.approx(1.5, abs=1e-4)
    assert rates["card"] == pytest.approx(1.0, abs=1e-4)
    report = truth_report(USERS, told, BEST, TRUTH, segment=SEGMENT, k=3)
    figures = {one.name: one for one in truth_figures(report, {"deposit": 900, "card": 10})}
    assert figures["predicted over true openings, deposit: distance from 1"].met is False
    assert figures["predicted over true openings, card: distance from 1"].met is None
    assert 0.5 < figures["auc of the truth"].value < 1


def test_a_rate_is_asked_to_be_right_only_where_chance_alone_would_not_move_it_as_far() -> None:
    def told(learned: int, half: float) -> bool | None:
        plain = {"value": 1.2, "low": 1.2 - half, "high": 1.2 + half, "users": 900}
        both = {name: dict.fromkeys(("auc", "log_loss", "ndcg@5", "predicted_over_observed"), plain) for name in NAMES}
        figures = fold_figures({"figures": {"all": both, "family card": both}}, {"card": learned})
        return next(one.met for one in figures if one.name.startswith("predicted over observed openings, card"))

    assert told(900, 0.06) is False
    assert told(900, 0.20) is None  # the days of the test are too few
    assert told(200, 0.06) is None  # those before them are


def test_a_launch_stands_beside_its_family_and_its_level_beside_its_past() -> None:
    def told(value: float) -> dict[str, Estimate]:
        one = Estimate(value, value - 0.1, value + 0.1, 900)
        return dict.fromkeys(("ndcg@5", "recall@5", "predicted_over_true"), one)

    figures = launched_figures({"launched": told(0.4), "family": told(0.2), "knew": told(0.8), "chance": told(0.1)})
    assert [one.ratio for one in figures] == [2.0, 2.0, 0.5]
    assert all("knew 0.800; chance 0.100" in one.note for one in figures[:2])


NAMES = ("ranked", "segment")
