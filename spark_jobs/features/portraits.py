"""Portraits: the average profile of a product's holders beside everybody's. They explain, and warm up cold users."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, PRODUCT_ID, USER_ID
from spark_jobs.features.base import Moment
from spark_jobs.features.silver import Silver
from spark_jobs.features.sources import is_held

# Features that describe a person rather than a moment.
PROFILE: tuple[str, ...] = (
    "f_customer_age",
    "f_customer_income_band",
    "f_customer_is_student",
    "f_customer_is_retired",
    "f_customer_is_self_employed",
    "f_credit_score_band",
    "f_credit_limit",
    "f_money_turnover",
    "f_money_balance",
    "f_holdings_count",
    "f_holdings_tenure",
    "f_transactions_spend_30d",
    "f_transactions_purchase_30d",
    "f_transactions_categories",
    "f_payments_spend_30d",
    "f_marketplace_view_30d",
    "f_marketplace_items",
    "f_retail_purchase_30d",
    "f_offers_click_30d",
    "f_telemetry_screen_30d",
    "f_telemetry_view_30d",
    "f_campaign_clicked_30d",
)
_HOLDERS, _EVERYONE, _VALUE = "holders_mean", "everyone_mean", "value"
# Features are added up as whole thousandths, so that a mean is the same whoever adds first.
_PARTS = 1000.0


def portraits(features: DataFrame, silver: Silver, moment: Moment) -> DataFrame:
    """Rows of gold.portraits: every product that somebody holds × `PROFILE`. features: gold.user_features' rows."""
    people = features.select(USER_ID, *((F.round(F.col(name) * _PARTS).cast("bigint")).alias(name) for name in PROFILE))
    held = silver.holdings.where(is_held(moment)).select(USER_ID, PRODUCT_ID).distinct()
    holders = people.join(held, USER_ID).groupBy(PRODUCT_ID).agg(F.count(F.lit(1)).alias("holders"), *_means())
    long = _long(holders, PRODUCT_ID, "holders").withColumnRenamed(_VALUE, _HOLDERS)
    everyone = _long(people.agg(*_means())).withColumnRenamed(_VALUE, _EVERYONE)
    return long.join(F.broadcast(everyone), "feature").select(
        PRODUCT_ID, "feature", F.lit(moment.as_of).alias(AS_OF), "holders", _HOLDERS, _EVERYONE
    )


def _means() -> list[Column]:
    """Of those of whom the feature is known."""
    return [(F.sum(name) / F.count(name) / _PARTS).alias(name) for name in PROFILE]


def _long(wide: DataFrame, *ids: str) -> DataFrame:
    """One row a feature: feature, value."""
    entries = [F.struct(F.lit(name).alias("feature"), F.col(name).cast("float").alias(_VALUE)) for name in PROFILE]
    return wide.select(*ids, F.explode(F.array(*entries)).alias("entry")).select(
        *ids, "entry.feature", f"entry.{_VALUE}"
    )
