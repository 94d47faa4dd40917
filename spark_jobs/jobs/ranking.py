"""Job `ranking`: trains the rankers, or takes those of the champions, and leaves them in the night's model folder.

What is trained is registered and judged beside the champion; the better one scores the night (see `lifecycle`).
"""

from collections.abc import Mapping
from dataclasses import asdict

from pyspark.sql import SparkSession

from data_contracts.errors import UnavailableError
from data_contracts.models import RANKERS, UPLIFT, Aliases, DataFacts, ModelVersion, NightModels
from data_contracts.night import NightParams
from data_contracts.quality import NightQuality
from spark_jobs.features.silver import Silver, read_silver
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.jobs.uplift import leave_uplift
from spark_jobs.jobs.variants import leave_variants
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.files import delete_folder
from spark_jobs.lifecycle.files import bring, leave, night_models
from spark_jobs.lifecycle.night import data_facts, drifted_features, planned
from spark_jobs.lifecycle.night_quality import leave_quality, quality_of_champions, quality_of_training
from spark_jobs.lifecycle.registry import Registry
from spark_jobs.lifecycle.settling import Trained, settle
from spark_jobs.ranking.boosting import BoosterParams, importance
from spark_jobs.ranking.offers import OfferParams
from spark_jobs.ranking.offers_night import fold_users, train_offer_models, train_retrieval_models
from spark_jobs.ranking.offers_store import load_offer_ranker
from spark_jobs.ranking.product_cases import cases_of_night, first_event_day
from spark_jobs.ranking.product_training import NEGATIVE_SHARE, train_on
from spark_jobs.ranking.products import ProductRanker, judged_products
from spark_jobs.ranking.windows import Windows, require_history, windows_of_night


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """Raises InputError when there are product events, or offers, but too few days of them for the horizon, and for a
    champion whose files are not what was registered.

    A kind of item with nothing to learn from has no ranker, also none left over from an earlier run.
    """
    plan = night_models(params) or planned(spark, params)
    for kind in (*RANKERS, UPLIFT):
        delete_folder(f"{params.models_uri}/{kind}")
    if not plan.train:
        for name, model in plan.used.items():
            bring(model, params.models_uri, (name,))
        plan = leave_variants(spark, params, plan)
        leave(params, plan)
        found = quality_of_champions(spark, params, plan)
        leave_quality(params, found)
        return _untrained(plan, found)
    aliases = Registry(params.registry, lake=params.lake).aliases() if params.registry and plan.registers else {}
    data = data_facts(spark, params)
    champions = {name: one.champion for name, one in aliases.items() if one.champion is not None}
    beside = {name: model for name, model in champions.items() if data[name].against(model) is None}
    (products, product_warnings), (offers, offer_warnings), uplift = at_once(
        lambda: train_products(spark, params, beside.get("products")),
        lambda: train_offers(spark, params, beside.get("offers")),
        lambda: leave_uplift(spark, params, beside.get(UPLIFT)),
    )
    made = {"products": products, "offers": offers, UPLIFT: uplift}
    trained = {name: one for name, one in made.items() if one is not None}
    plan, decisions = _settled(spark, params, plan, trained=trained, aliases=aliases, beside=beside, data=data)
    plan = leave_variants(spark, params, plan)
    leave(params, plan)
    found = quality_of_training(params, plan, trained, beside)
    leave_quality(params, found)
    return _report(trained, plan, decisions, found, warnings=(*product_warnings, *offer_warnings, *plan.warnings))


def product_windows(silver: Silver, params: NightParams) -> Windows | None:
    """When to train and calibrate; None where there is nothing to learn from. Raises InputError (see `run`)."""
    first_day = first_event_day(silver)
    if first_day is None or not silver.products:
        return None
    windows = windows_of_night(params)
    require_history(windows.train, first_day=first_day, as_of=params.as_of, horizon_days=params.product_horizon_days)
    return windows


def train_products(
    spark: SparkSession, params: NightParams, champion: ModelVersion | None = None
) -> tuple[Trained | None, tuple[str, ...]]:
    """What was trained, its files in the night's folder, and warnings. champion: is judged beside it."""
    silver = read_silver(spark, params.lake)
    windows = product_windows(silver, params)
    if windows is None:
        return None, ("no products or no product events: this night ranks no products",)
    train, calibrate = cases_of_night(silver, params, windows)
    ranker = train_on(train, calibrate, seed=params.seed, threads=params.training_threads)
    ranker.save(f"{params.models_uri}/products")
    other = None if champion is None else ProductRanker.load(f"{champion.uri}/products", with_halves=True)
    judged = judged_products(ranker, calibrate.users, calibrate.feature_names, beside=other)
    sizes = {**asdict(BoosterParams()), "negative_share": NEGATIVE_SHARE}
    return Trained(ranker.facts, judged, sizes=sizes, importance=importance(ranker.booster)), ()


def train_offers(
    spark: SparkSession, params: NightParams, champion: ModelVersion | None = None
) -> tuple[Trained | None, tuple[str, ...]]:
    """As `train_products`, on the night's retrieval model."""
    other = None if champion is None else load_offer_ranker(champion.uri)
    saved = train_offer_models(spark, params, beside=other)
    if not saved.files:
        return None, saved.warnings
    ranker = load_offer_ranker(params.models_uri)
    made = Trained(
        saved.facts, saved.judged, sizes=OfferParams().model_dump(), importance=importance(ranker.boosters[0])
    )
    return made, saved.warnings


def _settled(
    spark: SparkSession,
    params: NightParams,
    plan: NightModels,
    *,
    trained: Mapping[str, Trained],
    aliases: Mapping[str, Aliases],
    beside: Mapping[str, ModelVersion],
    data: Mapping[str, DataFacts],
) -> tuple[NightModels, dict[str, str]]:
    """What scores the night, with its files in place, and what was decided. Where nothing is registered, what was
    trained scores. beside: champions that can score tonight.
    """
    plan = plan.model_copy(update={"used": {}})
    decisions: dict[str, str] = {}
    if params.registry is None or not plan.registers:
        return plan, decisions
    registry, drifted = Registry(params.registry, lake=params.lake), drifted_features(params)
    for name, one in trained.items():
        used: ModelVersion | None
        try:
            settled = settle(
                registry,
                name,
                one,
                aliases=aliases[name],
                data=data[name],
                params=params,
                drifted=drifted,
            )
            used, decisions[name] = settled.used, settled.decision
            if settled.is_makeshift:
                plan = plan.with_warning(f"{name}: {settled.decision}")
        except UnavailableError as error:
            used = beside.get(name)
            decisions[name] = f"not registered: {error}"
            plan = plan.with_warning(f"{name}: {decisions[name]}")
        if used is not None:
            plan = plan.with_used(name, used)
            if used == beside.get(name):
                _take_back(spark, params, used)
    if UPLIFT not in trained and UPLIFT in beside:  # too few contacts lately: what was learned before still holds
        plan = plan.with_used(UPLIFT, beside[UPLIFT])
        _take_back(spark, params, beside[UPLIFT])
    return plan, decisions


def _take_back(spark: SparkSession, params: NightParams, champion: ModelVersion) -> None:
    """The champion's files instead of those that were trained tonight; everybody is folded into its factors."""
    delete_folder(f"{params.models_uri}/{champion.name}")
    bring(champion, params.models_uri, (champion.name,))
    if champion.name == "offers":
        model, _ = train_retrieval_models(spark, params, champion=champion.uri)
        fold_users(spark, params, model)


def _report(
    trained: Mapping[str, Trained],
    plan: NightModels,
    decisions: Mapping[str, str],
    found: NightQuality,
    *,
    warnings: tuple[str, ...],
) -> JobReport:
    facts = {
        f"{kind.removesuffix('s')}_{name}": value for kind, one in trained.items() for name, value in one.facts.items()
    }
    calibration = {name: value for name, value in facts.items() if "calibration" in name}
    rows = int(facts.get("product_training_rows", 0) + facts.get("offer_training_rows", 0))
    details = {
        "trained": True,
        "why": plan.why,
        **_scored(plan),
        **{f"{name}_decision": why for name, why in decisions.items()},
        **_measured(found),
    }
    return JobReport(
        tables={
            "ranker": TableReport(rows=rows, details={**details, **facts}),
            "calibrator": TableReport(rows=int(facts.get("product_calibration_rows", 0)), details=calibration),
        },
        warnings=warnings,
    )


def _untrained(plan: NightModels, found: NightQuality) -> JobReport:
    details = {"trained": False, "why": plan.why, **_scored(plan)}
    tables = {
        "ranker": TableReport(rows=0, details={**details, **_measured(found)}),
        "calibrator": TableReport(rows=0, details=details),
    }
    unknown = (f"{name}: nobody knows how they fare, {why}" for name, why in found.unknown.items() if name in plan.used)
    return JobReport(tables=tables, warnings=(*plan.warnings, *unknown))


def _measured(found: NightQuality) -> dict[str, float]:
    """On the newest cases."""
    told: dict[str, float] = {}
    for name, one in found.rankers.items():
        told |= {f"{name}_newest_cases": one.cases, f"{name}_newest_positives": one.positives}
        if one.auc is not None:
            told[f"{name}_auc"] = one.auc.value
    return told


def _scored(plan: NightModels) -> dict[str, str]:
    champion = "" if plan.train else "champion "
    return {
        **{f"{name}_model": f"{champion}{model.told}" for name, model in plan.used.items()},
        **{f"{name}_challenger": model.told for name, model in plan.tried.items()},
    }


if __name__ == "__main__":
    main(run, writes_tables=False)
