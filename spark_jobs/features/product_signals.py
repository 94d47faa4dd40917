"""What is between a user and one very product, as seen from an as-of: for the product ranker, beside user features.

Sparse: a pair without a signal has no row, and every signal is 0 where nothing is said. Names: f_pair_<area>_<what>.
"""

from datetime import date, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import ACTION, DOMAIN, EVENT_TYPE, ITEM_ID, PRODUCT_ID, USER_ID
from data_contracts.vocabulary import Action, CampaignEvent, Domain, ProductEvent
from spark_jobs.features.base import EXACT, Moment
from spark_jobs.features.interaction_rows import before
from spark_jobs.features.silver import Silver
from spark_jobs.features.sources import bank_event_sums, is_held

# Freshness of what happened just now is 1, and halves every so many days.
_FRESH_DAYS = 7
_HELD, _COUNT = "held", "count"


def product_signals(silver: Silver, *, as_of: date, cut_off: datetime, users: DataFrame | None = None) -> DataFrame:
    """user_id, product_id, f_pair_* (float), one row a pair with any signal. `users`: only these (user_id)."""
    moment, known = Moment(as_of, cut_off), silver if users is None else silver.of_users(users)
    frames = [_views(known, moment), _steps(known, moment), _contacts(known, moment), *_relations(known, moment)]
    together = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)
    signals = [name for name in together.columns if name not in (USER_ID, PRODUCT_ID)]
    # Each signal comes from one frame, which has a pair once: the maximum is that value.
    return (
        together.groupBy(USER_ID, PRODUCT_ID)
        .agg(*(F.coalesce(F.max(name), F.lit(0.0)).cast("float").alias(name) for name in sorted(signals)))
        .where(F.col(PRODUCT_ID).isin([product.product_id for product in silver.products]))
    )


def _views(silver: Silver, moment: Moment) -> DataFrame:
    """Views of the product's page in the app."""
    is_view = (F.col(DOMAIN) == Domain.TELEMETRY.value) & (F.col(ACTION) == Action.VIEW.value)
    views = before(silver.interactions.where(is_view & ~F.col(ITEM_ID).startswith("screen:")), moment)
    seen = bank_event_sums(views.withColumnRenamed(ITEM_ID, PRODUCT_ID), moment, PRODUCT_ID)
    return seen.select(
        USER_ID,
        PRODUCT_ID,
        _amount("count_7d").alias("f_pair_telemetry_views_7d"),
        _amount("count_30d").alias("f_pair_telemetry_views_30d"),
        _freshness("age").alias("f_pair_telemetry_view_fresh"),
    )


def _steps(silver: Silver, moment: Moment) -> DataFrame:
    """Applications, refusals, openings and closings of the product."""
    steps = bank_event_sums(silver.product_events, moment, PRODUCT_ID, EVENT_TYPE)
    kinds = (ProductEvent.APPLIED, ProductEvent.DECLINED, ProductEvent.OPENED, ProductEvent.CLOSED)
    signals = [_sum_of(kind, "count_30d").alias(f"f_pair_product_{kind}_30d") for kind in kinds]
    applied = _freshest(ProductEvent.APPLIED).alias("f_pair_product_applied_fresh")
    return steps.groupBy(USER_ID, PRODUCT_ID).agg(*signals, applied)


def _contacts(silver: Silver, moment: Moment) -> DataFrame:
    """What campaigns showed of the product, and the answers."""
    contacts = bank_event_sums(silver.campaign_interactions, moment, PRODUCT_ID, EVENT_TYPE)
    kinds = (CampaignEvent.SHOWN, CampaignEvent.CLICKED, CampaignEvent.DISMISSED)
    signals = [_sum_of(kind, "count_30d").alias(f"f_pair_campaign_{kind}_30d") for kind in kinds]
    shown = _freshest(CampaignEvent.SHOWN).alias("f_pair_campaign_shown_fresh")
    return contacts.groupBy(USER_ID, PRODUCT_ID).agg(*signals, shown)


def _relations(silver: Silver, moment: Moment) -> list[DataFrame]:
    """How many held products this one complements, or is an upgrade of."""
    held = silver.holdings.where(is_held(moment)).select(USER_ID, F.col(PRODUCT_ID).alias(_HELD)).distinct()
    frames = []
    for relation in ("complements", "upgrades"):
        pairs = [(product.product_id, other) for product in silver.products for other in getattr(product, relation)]
        related = held.sparkSession.createDataFrame(pairs, f"{_HELD} string, {PRODUCT_ID} string")
        counted = held.join(F.broadcast(related), _HELD).groupBy(USER_ID, PRODUCT_ID).agg(F.count(_HELD).alias(_COUNT))
        frames.append(counted.select(USER_ID, PRODUCT_ID, F.col(_COUNT).alias(f"f_pair_holdings_{relation}")))
    return frames


def _amount(name: str) -> Column:
    return F.col(name) / F.lit(EXACT)


def _freshness(age: str | Column) -> Column:
    return F.pow(F.lit(2.0), -(F.col(age) if isinstance(age, str) else age) / F.lit(float(_FRESH_DAYS)))


def _sum_of(kind: str, name: str) -> Column:
    return F.sum(F.when(F.col(EVENT_TYPE) == str(kind), F.col(name))) / F.lit(EXACT)


def _freshest(kind: str) -> Column:
    return _freshness(F.min(F.when(F.col(EVENT_TYPE) == str(kind), F.col("age"))))
