"""The streams that behaviour is folded from: silver's events of some days as one frame of numbers and topics."""

from datetime import date
from functools import cache, reduce
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import (
    ACTION,
    DAY,
    DOMAIN,
    EVENT_TIME,
    EVENT_TYPE,
    ITEM_ID,
    PRODUCT_ID,
    USER_ID,
    WEIGHT,
)
from data_contracts.vocabulary import CLICK_ACTIONS, Action, Domain, Family
from spark_jobs.features.cells import CAMPAIGNS, CONTACT, DOMAINS, GROUPS, PRODUCT_STEPS, SCREEN, STEP
from spark_jobs.features.silver import Silver

TIME, TOPIC, ITEM, CODE = "time", "topic", "item", "code"
STREAM_DDL = f"{USER_ID} bigint, {TIME} bigint, {CODE} int, {TOPIC} string, {ITEM} bigint, {WEIGHT} double"
# Tables of silver that hold streams, by day.
STREAMS = ("silver.interactions", "silver.product_events", "silver.campaign_interactions")
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


def family_topic(family: str) -> str:
    """The topic of what is about a product family, yet about no product."""
    return f"family:{family}"


def happenings(silver: Silver, *, first: date, before: date) -> DataFrame:
    """Rows of `STREAM_DDL`: everything of the days from `first` up to the one before `before`.

    code: position in DOMAINS × 256 + position in GROUPS; click, clickout and like are `click`, a screen of the app is
    `screen`. topic: the item's category, the merchant's, the product's id, or `family_topic`.
    """

    def of_days(rows: DataFrame) -> DataFrame:
        return rows.where((F.col(DAY) >= F.lit(first)) & (F.col(DAY) < F.lit(before)))

    bank = {PRODUCT_STEPS: (silver.product_events, STEP), CAMPAIGNS: (silver.campaign_interactions, CONTACT)}
    frames = [_interactions(of_days(silver.interactions), silver.items)]
    frames += [_bank_events(of_days(rows), domain, prefix) for domain, (rows, prefix) in bank.items()]
    return reduce(DataFrame.unionAll, frames)


def _interactions(rows: DataFrame, items: DataFrame) -> DataFrame:
    categories = items.where("category is not null").select(ITEM_ID, "category")
    is_told = F.col(DOMAIN).isin(Domain.MARKETPLACE.value, Domain.RETAIL.value, Domain.OFFERS.value)
    known = rows.join(F.broadcast(categories), ITEM_ID, "left")
    topic = (
        F.when(is_told, F.col("category"))
        .when(F.col(DOMAIN) == Domain.TRANSACTIONS.value, F.expr(f"substring({ITEM_ID}, {len(_MCC_PREFIX) + 1})"))
        .when(F.col(DOMAIN) == Domain.TELEMETRY.value, _telemetry_topic())
    )
    return _stream(known, domain=F.col(DOMAIN), group=_group(), topic=topic, item=ITEM_ID, weight=F.col(WEIGHT))


def _bank_events(rows: DataFrame, domain: str, prefix: str) -> DataFrame:
    group = F.concat(F.lit(prefix), EVENT_TYPE)
    return _stream(rows, domain=F.lit(domain), group=group, topic=F.col(PRODUCT_ID), item=PRODUCT_ID, weight=F.lit(1.0))


def _stream(rows: DataFrame, *, domain: Column, group: Column, topic: Column, item: str, weight: Column) -> DataFrame:
    code = _positions(DOMAINS)[domain] * 256 + _positions(GROUPS)[group]
    return rows.select(
        USER_ID,
        F.unix_micros(EVENT_TIME).alias(TIME),
        code.cast("int").alias(CODE),
        topic.alias(TOPIC),
        F.xxhash64(item).alias(ITEM),
        weight.cast("double").alias(WEIGHT),
    ).where(F.col(CODE).isNotNull())


def _positions(words: tuple[str, ...]) -> Column:
    return F.create_map(*(F.lit(part) for position, word in enumerate(words) for part in (word, position)))


def _group() -> Column:
    is_screen = (F.col(DOMAIN) == Domain.TELEMETRY.value) & F.col(ITEM_ID).startswith(_SCREEN_PREFIX)
    is_click = F.col(ACTION).isin([action.value for action in CLICK_ACTIONS])
    return F.when(is_screen, F.lit(SCREEN)).when(is_click, F.lit(Action.CLICK.value)).otherwise(F.col(ACTION))


def _telemetry_topic() -> Column:
    """The product viewed, or the family that a screen or a search is about; null if none."""
    text = F.lower(ITEM_ID)
    is_words = F.col(ITEM_ID).startswith(_SCREEN_PREFIX) | F.col(ITEM_ID).startswith(_SEARCH_PREFIX)
    found = reduce(
        lambda so_far, entry: so_far.when(text.rlike(entry[1]), F.lit(family_topic(entry[0].value))),
        vocabulary().family_words.items(),
        F.when(~is_words, F.col(ITEM_ID)),
    )
    return found.otherwise(F.lit(None).cast("string"))
