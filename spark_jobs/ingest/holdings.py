"""Which products each user holds or held at the as-of: the latest export, brought up to date by product events."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import DAY, EVENT_TIME, EVENT_TYPE, PRODUCT_ID, USER_ID
from data_contracts.vocabulary import ProductEvent

_SINCE = "held_since"


def current_holdings(exported: DataFrame, product_events: DataFrame, *, start: datetime, end: datetime) -> DataFrame:
    """silver.holdings from the export's state at `start` and the product events of `start` ≤ event_time < `end`.

    A closing ends the holding that was open at that moment; a closing of what nobody knows to be held says nothing.
    """
    near = product_events.where(F.col(DAY) >= F.lit(start.date()))  # only spares reading
    later = near.where((F.col(EVENT_TIME) >= F.lit(start)) & (F.col(EVENT_TIME) < F.lit(end)))
    opened = (
        later.where(F.col(EVENT_TYPE) == ProductEvent.OPENED.value)
        .groupBy(USER_ID, PRODUCT_ID, F.col(DAY).alias("opened_on"))
        .agg(F.min(EVENT_TIME).alias(_SINCE), F.lit(None).cast("date").alias("closed_on"))
    )
    known = exported.withColumn(_SINCE, F.lit(start)).select(*opened.columns)
    # An opening that the export already tells of is not a second holding.
    new = opened.join(known, [USER_ID, PRODUCT_ID, "opened_on"], "left_anti")
    holdings = known.unionByName(new).alias("holding")
    closed = later.where(F.col(EVENT_TYPE) == ProductEvent.CLOSED.value).select(
        USER_ID, PRODUCT_ID, F.col(EVENT_TIME).alias("closed_at"), F.col(DAY).alias("closed_day")
    )
    ends = (
        holdings.where(F.col("closed_on").isNull())
        .join(closed, [USER_ID, PRODUCT_ID])
        .where(F.col("closed_at") >= F.col(_SINCE))
        .groupBy(USER_ID, PRODUCT_ID, "opened_on")
        .agg(F.min("closed_day").alias("ended_on"))
    )
    return holdings.join(ends, [USER_ID, PRODUCT_ID, "opened_on"], "left").select(
        USER_ID, PRODUCT_ID, "opened_on", F.coalesce("closed_on", "ended_on").alias("closed_on")
    )
