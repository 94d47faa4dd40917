"""Behaviour before an as-of, condensed by Spark to a few rows a user: the ground of every feature of interactions."""

from datetime import timedelta
from functools import cache, reduce
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import ACTION, DAY, DOMAIN, EVENT_TIME, FAMILY, ITEM_ID, USER_ID, WEIGHT
from data_contracts.vocabulary import CLICK_ACTIONS, Action, Domain, Family
from spark_jobs.features.base import EXACT, MICROS_PER_DAY, Moment
from spark_jobs.features.silver import Silver

# Behaviour older than this says nothing any more: 2 ** -4 at the longest half-life.
WINDOW_DAYS = 120
HALF_LIVES = (1, 7, 30)
SPEND_HALF_LIVES = (7, 30)
# Days that the bitmap of active days covers.
MASK_DAYS = 28
GROUP, CATEGORY, SCREEN = "group", "category", "screen"
KEYS = (DOMAIN, GROUP, CATEGORY, FAMILY)
NUMBERS = ("count_1d", "count_7d", "count_30d", "spend_7d", "spend_30d", "items", "age", "mask")
_SCREEN_PREFIX, _SEARCH_PREFIX, _MCC_PREFIX = "screen:", "search:", "mcc:"


class Vocabulary(BaseModel):
    """vocabulary.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    merchant_categories: tuple[str, ...]
    family_words: dict[Family, str]


@cache
def vocabulary() -> Vocabulary:
    path = Path(__file__).with_name("vocabulary.yaml")
    return Vocabulary.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def interaction_rows(silver: Silver, moment: Moment) -> DataFrame:
    """One row a user and `KEYS`, with `NUMBERS`.

    group: the action; click, clickout and like are `click`, a screen of the app is `screen`. category: of the item,
    or the merchant's. family: of the product viewed or searched for. count_ and spend_ (sums of weights) are decayed
    sums in `EXACT` parts; items: how many distinct ones; age: days since the latest; mask: bit n is set if it was done
    n + 1 days before the as-of.
    """
    met = _by_item(silver.interactions, moment).join(F.broadcast(_topics(silver)), ITEM_ID, "left")
    is_transaction = F.col(DOMAIN) == Domain.TRANSACTIONS.value
    merchant = F.expr(f"substring({ITEM_ID}, {len(_MCC_PREFIX) + 1})")
    topics = {
        CATEGORY: F.when(is_transaction, merchant).otherwise(F.col(CATEGORY)),
        FAMILY: F.coalesce(FAMILY, F.when(F.col(DOMAIN) == Domain.TELEMETRY.value, _family_of_words())),
    }
    sums = [name for name in NUMBERS if name.startswith(("count_", "spend_"))]
    return (
        met.withColumns(topics)
        .groupBy(USER_ID, *KEYS)
        .agg(*(F.sum(name).alias(name) for name in sums), F.count(F.lit(1)).alias("items"), *_extremes())
    )


def decayed(age: Column, half_life_days: int, amount: Column | None = None) -> Column:
    """Amount (1 if none) × 2 ** (-age / half-life), as a whole number of `EXACT` parts."""
    share = F.pow(F.lit(2.0), -age / F.lit(float(half_life_days)))
    return F.round((share if amount is None else share * amount) * F.lit(EXACT)).cast("bigint")


def age_in_days(moment: Moment) -> Column:
    """Of event_time at the as-of."""
    return (F.lit(moment.micros) - F.unix_micros(EVENT_TIME)) / F.lit(float(MICROS_PER_DAY))


def before(events: DataFrame, moment: Moment, *, window_days: int = WINDOW_DAYS) -> DataFrame:
    """Events of the window before the cut-off. `day` only spares reading."""
    first = moment.as_of - timedelta(days=window_days)
    in_window = (F.col(DAY) >= F.lit(first)) & (F.col(DAY) < F.lit(moment.as_of))
    return events.where(in_window & (F.unix_micros(EVENT_TIME) < moment.micros))


def _by_item(interactions: DataFrame, moment: Moment) -> DataFrame:
    """One row a user, domain, group and item: the first, largest condensation.

    Everything of a user is brought together once; the sums that follow need no other shuffle.
    """
    days_ago = F.datediff(F.lit(moment.as_of), F.col(DAY))
    bit = F.expr(f"shiftleft(1L, datediff(DATE'{moment.as_of}', {DAY}) - 1)")
    mask = F.when(days_ago <= MASK_DAYS, bit).otherwise(F.lit(0))
    rows = before(interactions, moment).select(
        USER_ID, DOMAIN, ITEM_ID, WEIGHT, _group().alias(GROUP), age_in_days(moment).alias("age"), mask.alias("mask")
    )
    counts = [F.sum(decayed(F.col("age"), days)).alias(f"count_{days}d") for days in HALF_LIVES]
    spends = [F.sum(decayed(F.col("age"), days, F.col(WEIGHT))).alias(f"spend_{days}d") for days in SPEND_HALF_LIVES]
    return rows.repartition(USER_ID).groupBy(USER_ID, DOMAIN, GROUP, ITEM_ID).agg(*counts, *spends, *_extremes())


def _extremes() -> tuple[Column, Column]:
    return F.min("age").alias("age"), F.bit_or("mask").alias("mask")


def _group() -> Column:
    is_screen = (F.col(DOMAIN) == Domain.TELEMETRY.value) & F.col(ITEM_ID).startswith(_SCREEN_PREFIX)
    clicks = [action.value for action in CLICK_ACTIONS]
    is_click = F.col(ACTION).isin(clicks)
    return F.when(is_screen, F.lit(SCREEN)).when(is_click, F.lit(Action.CLICK.value)).otherwise(F.col(ACTION))


def _topics(silver: Silver) -> DataFrame:
    """item_id, category, family of offers and products."""
    offers = silver.items.select(ITEM_ID, CATEGORY, F.lit(None).cast("string").alias(FAMILY))
    rows = [(product.product_id, None, product.family.value) for product in silver.products]
    return offers.unionByName(
        offers.sparkSession.createDataFrame(rows, f"{ITEM_ID} string, {CATEGORY} string, {FAMILY} string")
    )


def _family_of_words() -> Column:
    """Which family a screen or a search is about, null if none."""
    text = F.lower(ITEM_ID)
    is_words = F.col(ITEM_ID).startswith(_SCREEN_PREFIX) | F.col(ITEM_ID).startswith(_SEARCH_PREFIX)
    found = reduce(
        lambda so_far, entry: so_far.when(text.rlike(entry[1]), F.lit(entry[0].value)),
        vocabulary().family_words.items(),
        F.when(~is_words, F.lit(None)),
    )
    return found.otherwise(F.lit(None).cast("string"))
