"""The facts beside behaviour that features are made of: each source told by Spark in a few rows a user, per as-of.

Nothing later than the as-of is left in. A source has user_id, keys (words) and numbers; `facts` puts all of them into
one frame, so that a user's facts travel to the feature functions together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import FAMILY, PRODUCT_ID, USER_ID
from spark_jobs.features.base import Moment
from spark_jobs.features.behaviour_table import CELLS, ITEMS
from spark_jobs.features.silver import Silver
from spark_jobs.ingest.validity import aggregates_at, customers_at

INTERACTIONS, PRODUCT_EVENTS, CAMPAIGNS = "interactions", "product_events", "campaign_interactions"
CUSTOMERS, PEOPLE, MONEY, HOLDINGS = "customers", "people", "aggregates", "holdings"
SOURCE = "source"
BEHAVIOUR_SOURCE = -1
_MOST_KEYS, _MOST_NUMBERS = 3, 9


@dataclass(frozen=True)
class FactSource:
    """`rows` gives user_id, `keys` and `numbers`. Whoever has a row in a source that `makes_users` is a user."""

    rows: Callable[[Silver, Moment], DataFrame]
    keys: tuple[str, ...]
    numbers: tuple[str, ...]
    makes_users: bool = False


def families(silver: Silver) -> DataFrame:
    """product_id, family."""
    rows = [(product.product_id, product.family.value) for product in silver.products]
    return silver.interactions.sparkSession.createDataFrame(rows, f"{PRODUCT_ID} string, {FAMILY} string")


def is_held(moment: Moment) -> Column:
    """Of rows of silver.holdings: held at the as-of."""
    is_open = F.col("closed_on").isNull() | (F.col("closed_on") >= F.lit(moment.as_of))
    return (F.col("opened_on") < F.lit(moment.as_of)) & is_open


def latest_customers(silver: Silver, moment: Moment) -> DataFrame:
    """One row a customer, as of the last export up to the as-of; columns of silver.customers, without intervals."""
    return customers_at(silver.customers, moment.as_of)


def _people(silver: Silver, _: Moment) -> DataFrame:
    return silver.people


def _money(silver: Silver, moment: Moment) -> DataFrame:
    """Months that were over at the as-of, as then known; months_ago is 0 for the last that was told of anybody.

    Not the calendar's last: in the first days of a month nobody's is told yet, and what all features of money say would
    be gone for a week.
    """
    known = aggregates_at(silver.aggregates, moment.as_of)
    over = known.where(F.add_months("month", 1) <= F.lit(moment.as_of))
    newest = over.agg(F.max("month").alias("newest"))
    months_ago = F.round(F.months_between("newest", "month")).cast("int")
    return over.crossJoin(F.broadcast(newest)).withColumn("months_ago", months_ago).drop("newest")


def _holdings(silver: Silver, moment: Moment) -> DataFrame:
    """Holdings opened before the as-of; is_held: held then; age: days since the opening."""
    opened = silver.holdings.where(F.col("opened_on") < F.lit(moment.as_of))
    age = F.datediff(F.lit(moment.as_of), "opened_on")
    held = {"is_held": F.when(is_held(moment), F.lit("yes")).otherwise(F.lit("no")), "age": age}
    return opened.withColumns(held).join(F.broadcast(families(silver)), PRODUCT_ID, "left")


SOURCES: dict[str, FactSource] = {
    CUSTOMERS: FactSource(
        latest_customers,
        ("employment", "lifecycle_stage"),
        (
            "birth_year",
            "region",
            "income_band",
            "score_band",
            "credit_limit",
            "arrears_days",
            "consent_mobile",
            "consent_web",
            "consent_crm",
        ),
        makes_users=True,
    ),
    PEOPLE: FactSource(_people, (), ("socdem_cluster", "region")),
    MONEY: FactSource(_money, ("months_ago",), ("turnover", "balance")),
    HOLDINGS: FactSource(_holdings, (FAMILY, "is_held", PRODUCT_ID), ("age",)),
}


def facts(behaviour: DataFrame, silver: Silver, moment: Moment) -> DataFrame:
    """All sources' rows: user_id, source (position in `SOURCES`), key_0 …, number_0 …, in the order of the source.

    behaviour: user_id, cells, items at the moment; a row each, with source `BEHAVIOUR_SOURCE`.
    """
    frames = [_as_facts(position, source, silver, moment) for position, source in enumerate(SOURCES.values())]
    told = reduce(DataFrame.unionAll, frames)
    nothing = {name: F.lit(None).cast("binary") for name in (CELLS, ITEMS)}
    state = behaviour.select(USER_ID, CELLS, ITEMS).withColumn(SOURCE, F.lit(BEHAVIOUR_SOURCE).cast("tinyint"))
    return told.withColumns(nothing).unionByName(state, allowMissingColumns=True)


def _as_facts(position: int, source: FactSource, silver: Silver, moment: Moment) -> DataFrame:
    keys = [F.col(name) for name in source.keys] + [F.lit(None)] * (_MOST_KEYS - len(source.keys))
    numbers = [F.col(name) for name in source.numbers] + [F.lit(None)] * (_MOST_NUMBERS - len(source.numbers))
    return source.rows(silver, moment).select(
        USER_ID,
        F.lit(position).cast("tinyint").alias(SOURCE),
        *(key.cast("string").alias(f"key_{n}") for n, key in enumerate(keys)),
        *(number.cast("double").alias(f"number_{n}") for n, number in enumerate(numbers)),
    )
