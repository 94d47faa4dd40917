"""What `recs backtest --folds` does: models trained anew at earlier and earlier moments, each judged on what came next.

With a lake's date the report is kept beside the night it is about, `{lake}/evaluation/{as_of}/backtest.json`:
    products   folds (newest first: train, calibrate, test, labels_from, labels_to, figures, calibration), together,
               cold (model -> metric): the segment tier for users held out from training, and, where products are
               hidden, launch (product -> model -> metric): how each is ranked without a past (evaluation/launch.py)
    offers     folds (newest first: test_day, figures)
figures of products: slice -> model -> metric -> {value, low, high, users}; of offers: label before the slice.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import orjson

from data_contracts.settings import Settings
from infra.ablation import TecdDay, lake_params
from infra.console import console, progress, show, show_json
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.lake.files import write_bytes

# What a terminal is wide enough for; the interval is of the last.
_SHOWN = {"auc": "AUC", "predicted_over_observed": "pred./obs.", "recall": "recall", "ndcg": "NDCG"}
_WHOLE = "all"


def report_uri(lake: str, as_of: date) -> str:
    """Where the report of a night's lake is kept."""
    return f"{lake}/evaluation/{as_of.isoformat()}/backtest.json"


def show_rolling(
    settings: Settings,
    lake_date: date | None,
    tecd: TecdDay | None,
    *,
    folds: int,
    k: int,
    retrieval: RetrievalParams,
    as_json: bool,
    hidden: Sequence[str] = (),
) -> None:
    """Products of a lake, offers of T-ECD days, or both; hidden: products whose launch is measured.

    Raises InputError where history is too short, or a product is not there.
    """
    report: dict[str, Any] = {}
    with progress(quiet=as_json) as bars:
        if lake_date is not None:
            bars.add_task(f"products in {folds} folds before {lake_date}", total=None)
            report["products"] = product_folds(settings, lake_date, folds=folds, k=k, hidden=hidden)
        if tecd is not None:
            bars.add_task(f"offers in {folds} folds up to day {tecd.day}", total=None)
            report["offers"] = {"folds": list(_offers(settings, tecd, folds=folds, k=k, retrieval=retrieval))}
    if lake_date is not None:
        write_bytes(report_uri(settings.lake_uri, lake_date), orjson.dumps(report, option=orjson.OPT_INDENT_2))
    if as_json:
        show_json(report)
        return
    show(list(_rows(report)), as_json=False, title=f"{folds} folds, lists of {k}")
    if lake_date is not None:
        console.print(f"by family, segment and tenure, every metric: {report_uri(settings.lake_uri, lake_date)}")


def product_folds(
    settings: Settings, as_of: date, *, folds: int, k: int, hidden: Sequence[str] = ()
) -> Mapping[str, Any]:
    from spark_jobs.evaluation.cold_users import cold_users
    from spark_jobs.evaluation.launch import launch_figures, launched
    from spark_jobs.evaluation.product_log import rolling_log
    from spark_jobs.evaluation.rolling import rolling_report
    from spark_jobs.lake.session import spark_session
    from spark_jobs.ranking.boosting import BoosterParams

    params = lake_params(settings, as_of)
    spark = spark_session("recs backtest", master=settings.spark_master, java_options=settings.spark_java_options)
    try:
        # First: a product that is not there is refused at once.
        unknowing = rolling_log(spark, params, folds=1, hidden=hidden) if hidden else []
        seen = rolling_log(spark, params, folds=folds)
    finally:
        spark.stop()
    booster, seed, threads = BoosterParams(), params.seed, params.training_threads
    report = rolling_report(seen, k=k, booster=booster, seed=seed, threads=threads).as_json()
    report["cold"] = _as_json(cold_users(seen, k=k))
    if hidden:
        launch = launched(seen, unknowing, hidden, booster=booster, seed=seed, threads=threads)
        columns = zip(hidden, launch.columns, strict=True)
        report["launch"] = {name: _as_json(launch_figures(launch, column, k=k)) for name, column in columns}
    return report


def _as_json(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {model: {name: one.as_json() for name, one in metrics.items()} for model, metrics in figures.items()}


def _offers(
    settings: Settings, tecd: TecdDay, *, folds: int, k: int, retrieval: RetrievalParams
) -> Iterator[dict[str, Any]]:
    from spark_jobs.evaluation.backtest import backtest_tecd

    for day in range(tecd.day, tecd.day - folds, -1):
        report = backtest_tecd(
            tecd.folder,
            domains=settings.offer_domains,
            test_day=day,
            gap_hours=tecd.gap_hours,
            k=k,
            seeds=(settings.seed,),
            retrieval=retrieval,
        )
        yield {"test_day": day, "figures": report.as_json()}


def _rows(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each fold and model, over everybody."""
    products = report.get("products", {"folds": [], "together": None})
    parts = [("together", products["together"])] if products["together"] else []
    for name, part in [*parts, *((fold["test"], fold) for fold in products["folds"])]:
        yield from _lines(name, part["figures"])
    if "cold" in products:
        yield from _lines("held out", {_WHOLE: products["cold"]})
    for hidden, models in products.get("launch", {}).items():
        yield from _lines(f"launch of {hidden}", {_WHOLE: models})
    for fold in report.get("offers", {"folds": []})["folds"]:
        for label, slices in fold["figures"].items():
            yield from _lines(f"{fold['test_day']}, {label}", slices)


def _lines(fold: str, slices: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    whole = slices.get(_WHOLE) or next(iter(slices.values()))
    for model, metrics in whole.items():
        found = {metric.partition("@")[0]: one for metric, one in metrics.items()}
        shown = {title: _value(found.get(metric)) for metric, title in _SHOWN.items()}
        yield {"fold": fold, "model": model, **shown, "95 %": _interval(found.get("ndcg"))}


def _value(one: Mapping[str, float] | None) -> str:
    return "" if one is None else f"{one['value']:.3f}"


def _interval(one: Mapping[str, float] | None) -> str:
    return "" if one is None else f"{one['low']:.2f}–{one['high']:.2f}"
