"""Job `ranking`: trains the product ranker and the offer ranker, and leaves them in the night's model folder."""

from collections.abc import Mapping

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import DAY
from data_contracts.night import NightParams
from spark_jobs.features.silver import Silver, read_silver
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.files import delete_folder
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.offers_night import train_offer_models
from spark_jobs.ranking.product_cases import cases_of_night
from spark_jobs.ranking.products import ProductRanker, train_product_ranker
from spark_jobs.ranking.windows import Windows, require_history, windows_of_night

# Share of negative cases that training keeps.
NEGATIVE_SHARE = 0.25


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """Raises InputError when there are product events, or offers, but too few days of them for the horizon.

    A kind of item with nothing to learn from has no ranker, also none left over from an earlier run.
    """
    for kind in ("products", "offers"):
        delete_folder(f"{params.models_uri}/{kind}")
    (products, product_warnings), offers = at_once(
        lambda: _products(spark, params), lambda: train_offer_models(spark, params)
    )
    return _report(products, offers.facts, warnings=(*product_warnings, *offers.warnings))


def _products(spark: SparkSession, params: NightParams) -> tuple[Mapping[str, float], tuple[str, ...]]:
    silver = read_silver(spark, params.lake)
    windows = product_windows(silver, params)
    if windows is None:
        return {}, ("no products or no product events: this night ranks no products",)
    ranker = _train(silver, params, windows)
    ranker.save(f"{params.models_uri}/products")
    return ranker.facts, ()


def product_windows(silver: Silver, params: NightParams) -> Windows | None:
    """When to train and calibrate; None where there is nothing to learn from. Raises InputError (see `run`)."""
    first_day = silver.product_events.agg(F.min(DAY)).collect()[0][0]
    if first_day is None or not silver.products:
        return None
    windows = windows_of_night(params)
    require_history(windows, first_day=first_day, as_of=params.as_of, horizon_days=params.product_horizon_days)
    return windows


def _train(silver: Silver, params: NightParams, windows: Windows) -> ProductRanker:
    train, calibrate = cases_of_night(silver, params, windows)
    return train_product_ranker(
        train.users,
        calibrate.users,
        feature_names=train.feature_names,
        pair_names=train.pair_names,
        negative_share=NEGATIVE_SHARE,
        params=BoosterParams(),
        seed=params.seed,
        threads=params.training_threads,
    )


def _report(products: Mapping[str, float], offers: Mapping[str, float], *, warnings: tuple[str, ...]) -> JobReport:
    facts = {
        f"{kind}_{name}": value for kind, of in (("product", products), ("offer", offers)) for name, value in of.items()
    }
    calibration = {name: value for name, value in facts.items() if "calibration" in name or "auc" in name}
    rows = int(products.get("training_rows", 0) + offers.get("training_rows", 0))
    return JobReport(
        tables={
            "ranker": TableReport(rows=rows, details=facts),
            "calibrator": TableReport(rows=int(products.get("calibration_rows", 0)), details=calibration),
        },
        warnings=warnings,
    )


if __name__ == "__main__":
    main(run, writes_tables=False)
