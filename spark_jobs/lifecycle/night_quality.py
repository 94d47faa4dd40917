"""How the rankers that score a night fare on the newest cases whose labels are known, of every night.

A training has asked its rankers about these cases already (`Judged`). A night that trains nothing makes them itself, of
the same seeded sample of users, seen from where the newest closed window begins: labels that broke since the training
show here. Nobody is asked of a booster that has learned from them (`told_to_strangers`); the boosters of offers, whose
cases are of single days, have never seen the newest ones.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import numpy as np
from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from data_contracts.models import RANKERS, ModelVersion, NightModels
from data_contracts.night import NightParams
from data_contracts.quality import QUALITY_FILE, FamilyCases, Interval, NightQuality, RankerQuality
from spark_jobs.evaluation.intervals import Estimate
from spark_jobs.features.silver import read_silver
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.files import write_bytes
from spark_jobs.lifecycle.fold import quality
from spark_jobs.lifecycle.settling import Trained
from spark_jobs.ranking.calibration import sigmoid
from spark_jobs.ranking.newest import F64, Fold
from spark_jobs.ranking.offers_night import newest_pairs
from spark_jobs.ranking.offers_store import load_offer_ranker
from spark_jobs.ranking.product_cases import first_event_day, newest_cases
from spark_jobs.ranking.products import ProductRanker, judged_products
from spark_jobs.ranking.windows import require_history, windows_of_night


def quality_of_training(
    params: NightParams, plan: NightModels, trained: Mapping[str, Trained], beside: Mapping[str, ModelVersion]
) -> NightQuality:
    """Of what scores now that all is settled; beside: the champions that were asked about the same cases."""
    found, unknown = {}, {}
    for name in RANKERS:
        judged, used = trained[name].judged if name in trained else None, plan.used.get(name)
        if judged is None:
            unknown[name] = "no ranker was trained"
            continue
        of_champion = judged.beside if used is not None and used == beside.get(name) else None
        odds = judged.own if of_champion is None else of_champion
        found[name] = ranker_quality(params, name, judged.fold, odds, used)
    return NightQuality(rankers=found, unknown=unknown)


def quality_of_champions(spark: SparkSession, params: NightParams, plan: NightModels) -> NightQuality:
    """Of a night that trains nothing, by the files that lie in its folder."""
    askers = {"products": _ask_products, "offers": _ask_offers}
    parts = at_once(*(partial(_asked, ask, spark, params, plan.used.get(name), name) for name, ask in askers.items()))
    return NightQuality(
        rankers={name: one for part in parts for name, one in part.rankers.items()},
        unknown={name: why for part in parts for name, why in part.unknown.items()},
    )


def leave_quality(params: NightParams, found: NightQuality) -> None:
    write_bytes(f"{params.models_uri}/{QUALITY_FILE}", found.model_dump_json(indent=1).encode())


def ranker_quality(
    params: NightParams, name: str, fold: Fold, log_odds: F64, used: ModelVersion | None
) -> RankerQuality:
    """log_odds (n,): what the ranker says of the fold's cases; used: none where nothing is registered."""
    probability, cases = sigmoid(log_odds), np.bincount(fold.families, minlength=len(fold.names))
    positives = np.bincount(fold.families[fold.labels], minlength=len(fold.names))
    predicted = np.bincount(fold.families, probability, minlength=len(fold.names))
    families = {
        family: FamilyCases(cases=cases[n], positives=positives[n], predicted=predicted[n])
        for n, family in enumerate(fold.names)
        if cases[n]
    }
    told = quality(fold, probability) if 0 < fold.labels.sum() < len(fold.labels) else None
    start, end = _window(params, name)
    return RankerQuality(
        model="trained tonight" if used is None else used.told,
        start=start,
        end=end,
        users=len(np.unique(fold.user_ids)),
        families=families,
        auc=None if told is None else _interval(told.auc),
        log_loss=None if told is None else _interval(told.log_loss),
    )


_Asker = Callable[[SparkSession, NightParams, ModelVersion], RankerQuality]


def _asked(
    ask: _Asker, spark: SparkSession, params: NightParams, model: ModelVersion | None, name: str
) -> NightQuality:
    """Of one ranker; unknown where none scores or where there are no cases."""
    if model is None:
        return NightQuality(unknown={name: "no ranker scores"})
    try:
        return NightQuality(rankers={name: ask(spark, params, model)})
    except InputError as error:
        return NightQuality(unknown={name: str(error)})


def _ask_products(spark: SparkSession, params: NightParams, model: ModelVersion) -> RankerQuality:
    """Raises InputError where history is too short, or features as of the window's begin are not there."""
    silver, windows = read_silver(spark, params.lake), windows_of_night(params)
    first_day = first_event_day(silver)
    if first_day is None or not silver.products:
        raise InputError("there are no products, or no product events")
    require_history(
        windows.calibrate, first_day=first_day, as_of=params.as_of, horizon_days=params.product_horizon_days
    )
    newest = newest_cases(silver, params, windows)
    ranker = ProductRanker.load(f"{params.models_uri}/products", with_halves=True)
    judged = judged_products(ranker, newest.users, newest.feature_names)
    return ranker_quality(params, model.name, judged.fold, judged.own, model)


def _ask_offers(spark: SparkSession, params: NightParams, model: ModelVersion) -> RankerQuality:
    """Raises InputError where history is too short."""
    ranker = load_offer_ranker(params.models_uri)
    pairs = newest_pairs(spark, params, ranker, learned=model.as_of)
    return ranker_quality(params, model.name, pairs.fold, pairs.judged_by(ranker), model)


def _window(params: NightParams, name: str) -> tuple[datetime, datetime]:
    """Where the labels begin and end."""
    if name == "products":
        newest = windows_of_night(params).calibrate
        return newest.start, newest.end
    return params.cut_off - timedelta(days=params.offer_horizon_days), params.cut_off


def _interval(estimate: Estimate) -> Interval:
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high)
