"""What `recs backtest --ablate domains` does: offers on a folder of T-ECD, products on a night's lake, or both."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from data_contracts.errors import InputError
from data_contracts.night import NightParams, Sources
from data_contracts.settings import Settings
from infra.console import progress, show
from spark_jobs.candidates.params import RetrievalParams

if TYPE_CHECKING:
    from spark_jobs.evaluation.ablation import Ablation


class Ablate(StrEnum):
    """What is left out in turn."""

    DOMAINS = "domains"


@dataclass(frozen=True)
class TecdDay:
    """A folder in T-ECD's layout, the day to test on, and the hours between history and it."""

    folder: str
    day: int
    gap_hours: float


def lake_params(settings: Settings, as_of: date) -> NightParams:
    """Of a night whose lake is looked at as it is: nothing is delivered."""
    return NightParams(
        as_of=as_of,
        lake=settings.lake_uri,
        sources=Sources(reference=settings.lake_uri),
        timezone=settings.timezone,
        product_horizon_days=settings.product_horizon_days,
        gap_hours=settings.gap_hours,
        seed=settings.seed,
    )


def show_ablation(
    settings: Settings,
    tecd: TecdDay | None,
    lake_date: date | None,
    *,
    retrieval: RetrievalParams,
    k: int,
    as_json: bool,
) -> None:
    """Print a row a domain and model. Raises InputError where neither a T-ECD day nor a lake's date was given."""
    if tecd is None and lake_date is None:
        raise InputError("ablate on what? give --tecd and --test-day (offers), or --lake-date (products), or both")
    rows = []
    with progress(quiet=as_json) as bars:
        if tecd is not None:
            bars.add_task(f"offers of day {tecd.day}, a domain less each time", total=None)
            rows += [_row(one, k=k) for one in _offers(settings, tecd, retrieval=retrieval, k=k)]
        if lake_date is not None:
            bars.add_task(f"products as of {lake_date}, a domain less each time", total=None)
            rows += [_row(one, k=k) for one in _products(settings, lake_date, k=k)]
    show(rows, as_json=as_json, title="what each domain adds")


def _offers(settings: Settings, tecd: TecdDay, *, retrieval: RetrievalParams, k: int) -> Iterator["Ablation"]:
    from spark_jobs.evaluation.ablation import ablate_offers
    from spark_jobs.evaluation.backtest import tecd_params
    from spark_jobs.evaluation.tecd_log import read_tecd

    domains = settings.offer_domains
    if len(domains) < 2:
        raise InputError("leaving out the only domain leaves nothing to rank: give several --offer-domains")
    params = tecd_params(test_day=tecd.day, gap_hours=tecd.gap_hours, k=k, seeds=[settings.seed], retrieval=retrieval)
    log = read_tecd(tecd.folder, domains=domains, test_day=tecd.day, cut=params.cut)
    yield from ablate_offers(log, params, domains=domains)


def _products(settings: Settings, as_of: date, *, k: int) -> Iterator["Ablation"]:
    from spark_jobs.evaluation.ablation import ablate_products
    from spark_jobs.evaluation.product_log import product_log
    from spark_jobs.lake.session import spark_session
    from spark_jobs.ranking.boosting import BoosterParams

    params = lake_params(settings, as_of)
    spark = spark_session("recs ablation", master=settings.spark_master, java_options=settings.spark_java_options)
    try:
        cases = product_log(spark, params)
    finally:
        spark.stop()
    yield from ablate_products(cases, k=k, booster=BoosterParams(), seed=params.seed, threads=params.training_threads)


def _row(one: "Ablation", *, k: int) -> dict[str, Any]:
    """`adds` is NDCG with less NDCG without, the mean of the users' differences; low and high its 95 % interval."""
    figures = {
        f"ndcg@{k}": one.whole.value,
        "without": one.without.value,
        "adds": one.adds.value,
        "low": one.adds.low,
        "high": one.adds.high,
    }
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return {"domain": one.domain.value, "model": one.model, "users": one.adds.users, **rounded}
