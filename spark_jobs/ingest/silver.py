"""Bronze to silver: every source's good rows in one vocabulary, repetitions removed.

Belongs here: pure transforms from bronze frames (rejected rows already left out) to exactly the columns of a silver
contract. A new kind of behaviour is one entry of `BEHAVIOURS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from data_contracts.columns import (
    ACTION,
    DAY,
    DOMAIN,
    EVENT_ID,
    EVENT_TIME,
    ITEM_ID,
    PRODUCT_ID,
    USER_ID,
    WEIGHT,
)
from data_contracts.night import NightParams
from data_contracts.tables import contract
from data_contracts.vocabulary import ACTION_SPELLINGS, Action, Domain
from spark_jobs.ingest.bronze import tecd_event_time
from spark_jobs.ingest.sources import BY_NAME, Layout
from spark_jobs.ingest.validity import KEYS, VALID_FROM, VALID_TO
from spark_jobs.lake.tables import empty_table

INTERACTIONS = "silver.interactions"
# About how many rows a file of interactions holds at most.
ROWS_A_FILE = 400_000
_PART = "part"


@dataclass(frozen=True)
class Behaviour:
    """How a bronze source reads as interactions. `item`, `action` and `weight` are SQL over its bronze columns."""

    source: str
    domain: Domain
    item: str = ITEM_ID
    action: str = ""
    weight: str = "1"
    where: str = "true"


_BRAND = "concat('brand:', coalesce(cast(brand_id as string), 'unknown'))"
_AMOUNT = "greatest(coalesce(price, 0), 0)"
_PURCHASE = f"'{Action.PURCHASE}'"
_TELEMETRY_ITEM = (
    "case event_type when 'product_view' then product_id"
    " when 'search' then concat('search:', coalesce(query, '')) else concat('screen:', coalesce(screen, '')) end"
)
_TELEMETRY_ACTION = f"if(event_type = 'search', '{Action.SEARCH}', '{Action.VIEW}')"

BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour("marketplace_events", Domain.MARKETPLACE),
    Behaviour("retail_events", Domain.RETAIL),
    Behaviour("offers_events", Domain.OFFERS),
    Behaviour("payments_events", Domain.PAYMENTS, _BRAND, _PURCHASE, _AMOUNT),
    Behaviour("payments_receipts", Domain.RECEIPTS, "approximate_item_id", _PURCHASE, _AMOUNT),
    Behaviour("reviews", Domain.REVIEWS, _BRAND, f"'{Action.REVIEW}'", "rating"),
    Behaviour("transactions", Domain.TRANSACTIONS, "category", _PURCHASE, "amount", "direction = 'out'"),
    Behaviour(
        "telemetry", Domain.TELEMETRY, _TELEMETRY_ITEM, _TELEMETRY_ACTION, "1", f"({_TELEMETRY_ITEM}) is not null"
    ),
)
# A source's events of a day go into these tables.
EVENT_TABLES = {"silver.product_events": "product_events", "silver.campaign_interactions": "campaign_interactions"}


def interactions(
    bronze: Mapping[str, DataFrame], params: NightParams, *, spark: SparkSession, rows_a_day: int
) -> DataFrame:
    """silver.interactions of the days in `bronze` (source name -> rows). A row said twice is kept once.

    `rows_a_day`: about how many to expect; decides how many files a day becomes.
    """
    frames = [_interactions(bronze[one.source], one, params) for one in BEHAVIOURS if one.source in bronze]
    if not frames:
        return empty_table(spark, INTERACTIONS)
    parts = 1 + rows_a_day // ROWS_A_FILE
    together = reduce(DataFrame.unionByName, frames).withColumn(_PART, F.expr(f"pmod(xxhash64({USER_ID}), {parts})"))
    # One shuffle serves the removal of repetitions and the writing: rows that are equal share day and part.
    once = together.repartition(DAY, _PART).distinct().drop(_PART)
    return once.sortWithinPartitions(DAY, USER_ID, EVENT_TIME, DOMAIN, ITEM_ID, ACTION, WEIGHT)


def _interactions(rows: DataFrame, behaviour: Behaviour, params: NightParams) -> DataFrame:
    is_numbered = BY_NAME[behaviour.source].layout is Layout.NUMBERED
    return rows.where(behaviour.where).select(
        USER_ID,
        F.expr(behaviour.item).alias(ITEM_ID),
        F.lit(behaviour.domain.value).alias(DOMAIN),
        (F.expr(behaviour.action) if behaviour.action else _spelled()).alias(ACTION),
        (tecd_event_time(params) if is_numbered else F.col(EVENT_TIME)).alias(EVENT_TIME),
        F.expr(behaviour.weight).cast("float").alias(WEIGHT),
        DAY,
    )


def _spelled() -> Column:
    """`action_type` in our vocabulary; spellings that nobody knows were rejected in bronze."""
    pairs = [F.lit(text) for spelling, action in ACTION_SPELLINGS.items() for text in (spelling, action.value)]
    return F.create_map(*pairs)[F.col("action_type")]


def events(rows: DataFrame, table: str) -> DataFrame:
    """One row an event id and day, the earliest where it was landed more than once."""
    names = contract(table).column_names
    return _first_of_each(rows, by=(DAY, EVENT_ID), table=table).select(*names)


def export_rows(rows: DataFrame, table: str) -> DataFrame:
    """Rows of exports for a table with validity intervals: one a key and date, which is their `valid_from`."""
    names = tuple(name for name in contract(table).column_names if name != VALID_TO)
    return _first(rows.withColumnRenamed(DAY, VALID_FROM), by=(*KEYS[table], VALID_FROM), names=names)


def people(users: DataFrame) -> DataFrame:
    """silver.people from T-ECD's users."""
    return _first_of_each(users, by=(USER_ID,), table="silver.people")


def items(bronze: Mapping[Domain, DataFrame]) -> DataFrame:
    """silver.items from T-ECD's items by domain; attributes a domain does not publish are null."""
    names = contract("silver.items").column_names
    frames = [rows.withColumn(DOMAIN, F.lit(domain.value)) for domain, rows in bronze.items()]
    together = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)
    missing = [name for name in names if name not in together.columns]
    complete = together.withColumns({name: F.lit(None) for name in missing})
    complete = complete.withColumn("embedding", F.when(F.size("embedding") > 0, F.col("embedding")))
    return _first_of_each(complete, by=(ITEM_ID,), table="silver.items")


def brands(rows: DataFrame) -> DataFrame:
    """silver.brands from T-ECD's brands: duplicates, and those without an embedding, are published too."""
    return _first_of_each(rows.where(F.size("embedding") > 0), by=("brand_id",), table="silver.brands")


def latest_holdings(rows: DataFrame) -> DataFrame:
    """Holdings of one export, one row a user, product and opening."""
    return _first_of_each(rows, by=(USER_ID, PRODUCT_ID, "opened_on"), table="silver.holdings")


def _first_of_each(rows: DataFrame, *, by: tuple[str, ...], table: str) -> DataFrame:
    """One row a key, in the table's columns."""
    return _first(rows, by=by, names=contract(table).column_names)


def _first(rows: DataFrame, *, by: tuple[str, ...], names: tuple[str, ...]) -> DataFrame:
    """One row a key, the same one every time: the first in order of all `names`, which it ends in."""
    first = Window.partitionBy(*by).orderBy(*(name for name in names if name not in by))
    return rows.withColumn("nth", F.row_number().over(first)).where(F.col("nth") == 1).select(*names)
