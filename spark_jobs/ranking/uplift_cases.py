"""Contacts of campaigns from the lake, with features as of before them and whether the user opened what was offered.

Who is held out is drawn at random, as who is shown is; so the two groups differ by the contact alone.
"""

from datetime import date

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import DAY, EVENT_TIME, EVENT_TYPE, PRODUCT_ID, USER_ID
from data_contracts.vocabulary import CampaignEvent, Family, ProductEvent
from spark_jobs.features.base import Moment
from spark_jobs.features.silver import Silver
from spark_jobs.features.training_set import training_set
from spark_jobs.lake.collect import collected
from spark_jobs.ranking.product_cases import midnight, profiled_users
from spark_jobs.ranking.uplift import OFFERED, Contacted
from spark_jobs.ranking.user_blocks import aligned_features
from spark_jobs.ranking.windows import LabelWindow

_GROUPS = {CampaignEvent.SHOWN.value: True, CampaignEvent.HELD_OUT.value: False}


def has_controls(campaigns: DataFrame, *, since: date, fewest: int) -> bool:
    """Whether as many were held out since a day at all: quick to ask, before what is not."""
    held_out = F.col(EVENT_TYPE) == CampaignEvent.HELD_OUT.value
    return campaigns.where(held_out & (F.col(DAY) >= F.lit(since))).count() >= fewest


def contacted(
    silver: Silver, window: LabelWindow, *, features: DataFrame, now: Moment, fewest: int
) -> Contacted | None:
    """First contacts in a window of who agreed to profiling both then and `now`.

    None where either group has fewer than `fewest` users. features: gold.user_features, used as of the window's as_of;
    the offered product's family goes with them. An opening counts from the contact to the window's end.
    """
    found = collected(_contacts(silver, window, now), sort_by=USER_ID)
    user_ids, treated = found[USER_ID].to_numpy(), found["treated"].to_numpy(zero_copy_only=False)
    if min(int(treated.sum()), int((~treated).sum())) < fewest:
        return None
    users = features.sparkSession.createDataFrame([(int(one),) for one in user_ids], f"{USER_ID} bigint")
    known = collected(training_set(users, features, midnight(window.as_of, like=now)), sort_by=USER_ID)
    names = tuple(name for name in known.column_names if name.startswith("f_"))
    family = {product.product_id: product.family.value for product in silver.products}
    families = np.array([family.get(one, "") for one in found[PRODUCT_ID].to_pylist()], object)
    of_family = (families[:, None] == np.array([one.value for one in Family], object)).astype(np.float32)
    return Contacted(
        user_ids=user_ids,
        features=np.hstack([aligned_features(known, names, user_ids=user_ids), of_family]),
        names=(*names, *OFFERED),
        treated=treated,
        outcome=found["opened"].to_numpy().astype(np.float32),
    )


def _contacts(silver: Silver, window: LabelWindow, now: Moment) -> DataFrame:
    """user_id, product_id, treated, opened: the first contact of each user."""
    then = profiled_users(silver, midnight(window.as_of, like=now))
    consented = profiled_users(silver, now).join(then, USER_ID, "left_semi")
    contacts = _within(silver.campaign_interactions, window).where(F.col(EVENT_TYPE).isin(list(_GROUPS)))
    first = contacts.groupBy(USER_ID).agg(
        F.min(F.struct(EVENT_TIME, "event_id", PRODUCT_ID, EVENT_TYPE)).alias("contact")
    )
    opened = _within(silver.product_events, window).where(F.col(EVENT_TYPE) == ProductEvent.OPENED.value)
    openings = opened.select(USER_ID, PRODUCT_ID, F.col(EVENT_TIME).alias("opened_at"))
    told = first.join(consented, USER_ID, "left_semi").select(
        USER_ID,
        F.col(f"contact.{PRODUCT_ID}").alias(PRODUCT_ID),
        F.col(f"contact.{EVENT_TIME}").alias("contacted_at"),
        (F.col(f"contact.{EVENT_TYPE}") == CampaignEvent.SHOWN.value).alias("treated"),
    )
    return (
        told.join(openings, [USER_ID, PRODUCT_ID], "left")
        .groupBy(USER_ID, PRODUCT_ID, "treated")
        .agg(F.coalesce(F.max((F.col("opened_at") >= F.col("contacted_at")).cast("float")), F.lit(0.0)).alias("opened"))
        .select(USER_ID, PRODUCT_ID, "treated", F.col("opened").cast("float"))
    )


def _within(events: DataFrame, window: LabelWindow) -> DataFrame:
    first, last = _day(window.start), _day(window.end)
    near = (F.col(DAY) >= F.lit(first)) & (F.col(DAY) <= F.lit(last))
    return events.where(near & (F.col(EVENT_TIME) >= F.lit(window.start)) & (F.col(EVENT_TIME) < F.lit(window.end)))


def _day(moment: date) -> date:
    return date(moment.year, moment.month, moment.day)
