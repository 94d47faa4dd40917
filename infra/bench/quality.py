"""Bench `quality`: how good product lists and probabilities are, on a sample world whose truth is known.

A night is trained on a world that it knows nothing of but its deliveries, then held against the true probabilities of
the days to come (`spark_jobs.evaluation.truth`), and three earlier nights against what users did next. A launch is the
same night, to which a product of each family is hidden (`spark_jobs.evaluation.launch`).
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.columns import PRODUCT_ID, USER_ID
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from infra.bench.figure import Figure
from infra.bench.night_growth import LAST_DATE, night_params, run_job
from infra.local.world import generate
from infra.rolling import product_folds
from spark_jobs.evaluation.intervals import Estimate
from spark_jobs.evaluation.launch import launch_by_truth, launched
from spark_jobs.evaluation.probabilities import ENOUGH, chance
from spark_jobs.evaluation.product_log import rolling_log
from spark_jobs.evaluation.rolling import SeenUsers, baselines
from spark_jobs.evaluation.truth import TruthReport, best_by_truth, truth_report
from spark_jobs.lake.session import spark_session
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.products import ProductRanker, told_by
from spark_jobs.ranking.user_blocks import aligned_pairs

USERS, DAYS, HORIZON_DAYS, FOLDS, K = 20_000, 60, 7, 3, 5
_JOBS = ("ingest", "features", "retrieval", "ranking")
# What "the best that the observables allow" is learned with, whatever the night's ranker has become: dense truths bear
# deeper trees than openings do.
_BEST = BoosterParams(depth=5)


def run() -> list[Figure]:
    """An hour on two cores."""
    with tempfile.TemporaryDirectory(prefix="bench-quality-") as folder:
        world = Path(folder) / "world"
        generate(world, users=USERS, days=DAYS, seed=7, last_date=LAST_DATE, horizon_days=HORIZON_DAYS)
        params = night_params(folder, world, LAST_DATE, horizon_days=HORIZON_DAYS)
        for job in _JOBS:
            run_job(job, params, big=False)
        seen = seen_tonight(params)
        truth, ranker = against_truth(params, world, seen), ProductRanker.load(f"{params.models_uri}/products")
        launch = launch_against_truth(params, world, seen)
        settings = Settings(data_dir=Path(folder), product_horizon_days=HORIZON_DAYS)
        folds = product_folds(settings, LAST_DATE, folds=FOLDS, k=K)
    cases = {family: pair.cases for family, pair in ranker.calibrator.groups.items()}
    learned = {family: min(fold["learned"].get(family, 0) for fold in folds["folds"]) for family in cases}
    return [*truth_figures(truth, cases), *launched_figures(launch), *fold_figures(folds["together"], learned)]


def seen_tonight(params: NightParams, *, hidden: Sequence[str] = ()) -> list[SeenUsers]:
    """Users as the night sees them, whose openings are not known yet, and those of the two windows it learns from."""
    spark = spark_session("bench quality", master="local[2]", driver_memory="2g")
    try:
        return rolling_log(spark, params, folds=0, hidden=hidden, tonight=True)
    finally:
        spark.stop()


def against_truth(params: NightParams, world: Path, seen: Sequence[SeenUsers]) -> TruthReport:
    """The night's ranker on all its users; seen: tonight and what it learns from, the newest first."""
    tonight, *past = seen
    ranker = ProductRanker.load(f"{params.models_uri}/products")
    truth = true_probabilities(world, tonight)
    best = best_by_truth(
        tonight.users, truth, ranker.layout, params=_BEST, seed=params.seed, threads=params.training_threads
    )
    told = told_by(ranker, tonight.users, tonight.feature_names)
    return truth_report(tonight.users, told, best, truth, segment=baselines(tonight, past)["segment"], k=K)


def launch_against_truth(
    params: NightParams, world: Path, seen: Sequence[SeenUsers], *, products: Sequence[str] = ()
) -> Mapping[str, Mapping[str, Estimate]]:
    """Of `products` hidden together, by model and metric; by default the first of each family."""
    hidden = products or first_of_families(seen[0])
    unknowing, threads = seen_tonight(params, hidden=hidden), params.training_threads
    launch = launched(seen, unknowing, hidden, booster=BoosterParams(), seed=params.seed, threads=threads)
    return launch_by_truth(launch, true_probabilities(world, seen[0]), k=K)


def first_of_families(seen: SeenUsers) -> list[str]:
    """Of the products that anybody may have, in the catalogue's order."""
    table = seen.users.products
    sold = np.flatnonzero(seen.users.eligible.any(axis=0))
    _, first = np.unique(table.families[sold], return_index=True)
    return [table.ids[number] for number in sold[np.sort(first)]]


def launched_figures(launch: Mapping[str, Mapping[str, Estimate]]) -> list[Figure]:
    """Lists of those who will open a hidden product, beside what its family, its past and chance say."""
    figures = []
    for name in (f"ndcg@{K}", f"recall@{K}"):
        own, family = (launch[model][name] for model in ("launched", "family"))
        beside = "; ".join(f"{model} {launch[model][name].value:.3f}" for model in ("knew", "chance"))
        note = f"{_interval(own)}; reference: the mean of the family in the segment tier; {beside}"
        value, reference = round(own.value, 3), round(family.value, 3)
        figures.append(Figure(f"{name} of hidden products", value, "", reference=reference, better="higher", note=note))
    rate, knew = (launch[model]["predicted_over_true"] for model in ("launched", "knew"))
    name, note = "predicted over true openings of hidden products", f"{_interval(rate)}; reference: with their past"
    return [*figures, Figure(name, round(rate.value, 3), "", reference=round(knew.value, 3), note=note)]


def true_probabilities(world: Path, seen: SeenUsers) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(n, p), 0 where the world's bank would not sell."""
    table = pq.read_table(world / "truth" / "product_probability.parquet")
    columns = [table.column(name) for name in (USER_ID, PRODUCT_ID)]
    rows = pa.table([*columns, table.column("probability")], names=[USER_ID, PRODUCT_ID, "probability"])
    dense = aligned_pairs(rows, ("probability",), user_ids=seen.users.user_ids, products=seen.users.products.ids)
    return dense[:, :, 0].astype(np.float64)


def truth_figures(report: TruthReport, cases: Mapping[str, int]) -> list[Figure]:
    ndcg, floor = report.ndcg, report.floor
    figures = [
        Figure(
            f"NDCG@{K} of product lists by true probability × value, {name}",
            round(ndcg[name].value, 4),
            "",
            reference=1.0,
            better="higher",
            note=_interval(ndcg[name]),
        )
        for name in ("segment", "personal", "best")
    ]
    note = (
        f"from the list of the segment tier to a model of the same features told the truth; {_interval(report.closed)}"
    )
    figures.append(
        Figure("share of the gap closed", round(report.closed.value, 3), "", goal=0.85, better="higher", note=note)
    )
    for name in ("auc", "log_loss"):
        note = "noise floor: the truth itself on one drawn future"
        figures.append(Figure(f"{name} of the truth", round(floor[name].value, 4), "", note=note))
    for family, rate in report.rates.items():
        exact = Estimate(rate, rate, rate, 0)
        figures.append(_rate(f"predicted over true openings, {family}", exact, cases.get(family, 0)))
    return figures


def fold_figures(together: Mapping[str, Any], learned: Mapping[str, int]) -> list[Figure]:
    """Of the tests of all folds together: quality beside the segment's own rate, and predicted over observed.

    learned: by family, openings behind the calibration of the fold that knew fewest: what is learned in one fold is
    learned again in the next, so folds do not add up.
    """
    figures = []
    ranked, segment = (together["figures"]["all"][name] for name in ("ranked", "segment"))
    for metric, better in (("auc", "higher"), ("log_loss", "lower"), (f"ndcg@{K}", "higher")):
        own, other = ranked[metric], segment[metric]
        note = f"{FOLDS} folds; {own['low']:.4f} to {own['high']:.4f}; reference: the segment tier"
        value, reference = round(own["value"], 4), round(other["value"], 4)
        figures.append(Figure(f"{metric} of products", value, "", reference=reference, better=better, note=note))  # type: ignore[arg-type]
    for name, models in together["figures"].items():
        rate = models["ranked"].get("predicted_over_observed")
        if rate and name.startswith("family "):
            family = name.removeprefix("family ")
            observed = Estimate(rate["value"], rate["low"], rate["high"], rate["users"])
            figures.append(_rate(f"predicted over observed openings, {family}", observed, learned.get(family, 0)))
    return figures


def _rate(name: str, rate: Estimate, learned: int) -> Figure:
    """How far the rate is from 1. The goal, .9 to 1.1, is asked where cases are enough (see `probabilities.chance`)."""
    by_chance = chance(learned, rate)
    note = f"rate {rate.value:.3f}; learned from {learned} openings, chance alone ± {by_chance:.2f}"
    goal = 0.1 if by_chance < ENOUGH else None
    return Figure(f"{name}: distance from 1", round(abs(rate.value - 1), 3), "", goal=goal, note=note)


def _interval(one: Estimate) -> str:
    return f"{one.low:.4f} to {one.high:.4f}"
