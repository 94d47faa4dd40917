"""A night's lake as cases of the product ranker, for evaluation: users to train on, and later ones to test on.

The windows, users, features and labels are those of the night's own training, so that what is measured is what runs.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import reduce

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, DAY, DOMAIN, ITEM_ID, PRODUCT_ID, SEGMENT, USER_ID
from data_contracts.errors import InputError
from data_contracts.night import NightParams
from data_contracts.vocabulary import Domain
from spark_jobs.evaluation.ablation import ProductCases
from spark_jobs.evaluation.launch import column_of
from spark_jobs.evaluation.rolling import SeenUsers, rolling_windows
from spark_jobs.features.base import Moment
from spark_jobs.features.behaviour_table import folded
from spark_jobs.features.days import day_spans, midnight
from spark_jobs.features.engine import user_features
from spark_jobs.features.segments import segments
from spark_jobs.features.silver import Silver, read_silver
from spark_jobs.features.sources import is_held
from spark_jobs.features.streams import happenings
from spark_jobs.lake.collect import collected
from spark_jobs.lake.reference import Reference, read_reference
from spark_jobs.ranking.kernel import I64
from spark_jobs.ranking.product_cases import CaseParams, cases_of_night, labelled_users
from spark_jobs.ranking.user_blocks import aligned_features, aligned_pairs
from spark_jobs.ranking.windows import MIN_HISTORY_DAYS, LabelWindow, windows_of_night

_PARTITIONS = 4


def product_log(spark: SparkSession, params: NightParams) -> ProductCases:
    """Raises InputError where the lake has no products or no product events."""
    silver = _silver(spark, params)
    train, test = cases_of_night(silver, params, windows_of_night(params))
    return ProductCases(train.users, test.users, train.feature_names, train.pair_names)


def rolling_log(
    spark: SparkSession, params: NightParams, *, folds: int, hidden: Sequence[str] = (), tonight: bool = False
) -> list[SeenUsers]:
    """Users of every window that so many folds need, the newest first, with features made anew for each as-of.

    hidden: products that nobody has had, opened or heard of, as if they came into the catalogue now; their labels are
    gone with them. tonight: before all, users as the night itself sees them, whose openings are not known yet. Nothing
    is written to the lake. Raises InputError where it has no products, no product events, or too few days.
    """
    silver = reduce(without_product, hidden, _silver(spark, params))
    reference = read_reference(params.lake)
    windows = rolling_windows(
        params.as_of,
        folds=folds,
        horizon_days=params.product_horizon_days,
        gap_hours=params.gap_hours,
        timezone=params.timezone,
    )
    first = silver.product_events.agg(F.min(DAY)).collect()[0][0]
    missing = (first - windows[-1].as_of).days + MIN_HISTORY_DAYS
    if missing > 0:
        raise InputError(
            f"{params.lake}: history is {missing} days too short for {folds} folds of a horizon of "
            f"{params.product_horizon_days} days as of {params.as_of}: take fewer --folds or a shorter horizon"
        )
    if tonight:
        windows = (_tonight(params), *windows)
    behaviour = _behaviour(silver, [window.as_of for window in windows], params).localCheckpoint()
    return [_seen(silver, behaviour, window, reference, params) for window in windows]


def without_product(silver: Silver, product_id: str) -> Silver:
    """Less all that tells of a product; the catalogue keeps it. Raises InputError for one that is not in it."""
    column_of(product_id, [product.product_id for product in silver.products])
    is_other = F.coalesce(F.col(PRODUCT_ID) != product_id, F.lit(True))
    is_elsewhere = F.coalesce((F.col(ITEM_ID) != product_id) | (F.col(DOMAIN) != Domain.TELEMETRY.value), F.lit(True))
    return replace(
        silver,
        interactions=silver.interactions.where(is_elsewhere),
        holdings=silver.holdings.where(is_other),
        product_events=silver.product_events.where(is_other),
        campaign_interactions=silver.campaign_interactions.where(is_other),
    )


def _tonight(params: NightParams) -> LabelWindow:
    """Without labels: what is opened after the night is not known."""
    return LabelWindow(params.as_of, params.cut_off, params.cut_off)


def _silver(spark: SparkSession, params: NightParams) -> Silver:
    silver = read_silver(spark, params.lake)
    if not silver.products or silver.product_events.isEmpty():
        raise InputError(f"{params.lake}: no products or no product events to learn from; run a night there first")
    return silver


def _behaviour(silver: Silver, as_ofs: Sequence[date], params: NightParams) -> DataFrame:
    """Rows of gold.user_behaviour at each as-of, folded from the first day."""
    streams = (silver.interactions, silver.product_events, silver.campaign_interactions)
    days = [rows.agg(F.min(DAY)).collect()[0][0] for rows in streams]
    first, last = min(day for day in days if day), max(as_ofs)
    events = happenings(silver, first=first, before=last)
    spans = day_spans(first, last, timezone=params.timezone)
    return folded(None, events, spans, sorted(as_ofs), partitions=_PARTITIONS)


def _seen(
    silver: Silver, behaviour: DataFrame, window: LabelWindow, reference: Reference, params: NightParams
) -> SeenUsers:
    cut_off = midnight(window.as_of, params.timezone)
    then = behaviour.where(F.col(AS_OF) == F.lit(window.as_of)).drop(AS_OF)
    made = user_features(then, silver, as_of=window.as_of, cut_off=cut_off, partitions=_PARTITIONS).localCheckpoint()
    return _labelled(silver, made, window, reference, params)


def _labelled(
    silver: Silver, features: DataFrame, window: LabelWindow, reference: Reference, params: NightParams
) -> SeenUsers:
    cases = labelled_users(
        silver,
        window,
        features=features,
        catalogue=reference.catalogue,
        rules=reference.rules,
        now=Moment(params.as_of, params.cut_off),
        params=CaseParams(horizon_days=params.product_horizon_days, seed=params.seed),
    )
    told = collected(segments(features).drop(AS_OF))
    user_ids, products = cases.users.user_ids, cases.users.products.ids
    segment = np.nan_to_num(aligned_features(told, [SEGMENT], user_ids=user_ids)[:, 0]).astype(np.int16)
    held = _held(silver, window, user_ids, products)
    return SeenUsers(window, cases.users, segment, held, cases.feature_names, cases.pair_names)


def _held(silver: Silver, window: LabelWindow, user_ids: I64, products: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(users, products), as of the window."""
    is_open = is_held(Moment(window.as_of, window.start))
    held = silver.holdings.where(is_open).select(USER_ID, PRODUCT_ID).distinct()
    rows = collected(held.withColumn("held", F.lit(1.0).cast("float")))
    return aligned_pairs(rows, ("held",), user_ids=user_ids, products=products)[:, :, 0] > 0
