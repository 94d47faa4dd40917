"""The product ranker's cases from the lake: users as seen from an as-of, and what they opened in the window after it.

Belongs here: who is trained on, how many, their features, eligibility and labels, collected as arrays. What the rows
look like is `rows`; the fit is `products`. Nothing later than a window's end is read.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.catalogue import Catalogue, Product, Rules
from data_contracts.columns import DAY, EVENT_TIME, EVENT_TYPE, PRODUCT_ID, USER_ID
from data_contracts.night import NightParams
from data_contracts.policy import Drop, compile_policy, standing_drops
from data_contracts.vocabulary import ProductEvent
from spark_jobs.features.base import Moment
from spark_jobs.features.product_signals import SIGNALS, dense_signals
from spark_jobs.features.silver import Silver
from spark_jobs.features.sources import latest_customers
from spark_jobs.features.training_set import training_set
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.collect import collected
from spark_jobs.lake.reference import read_reference
from spark_jobs.lake.tables import read_table
from spark_jobs.ranking.product_prior import Priors, expected_openings, is_new, likeness
from spark_jobs.ranking.products import Cases, LabelledUsers
from spark_jobs.ranking.rows import product_table
from spark_jobs.ranking.user_blocks import aligned_features, aligned_pairs
from spark_jobs.ranking.user_state import policy_users, user_state
from spark_jobs.ranking.windows import LabelWindow, Windows

_SAMPLE_UNITS = 1 << 30


@dataclass(frozen=True)
class CaseParams:
    """`most_users`: how many users of an as-of are looked at; fewer are all taken."""

    most_users: int = 30_000
    horizon_days: int = 30
    seed: int = 7


def first_event_day(silver: Silver) -> date | None:
    """Of what was done about products; None where nothing ever was."""
    first: date | None = silver.product_events.agg(F.min(DAY)).collect()[0][0]
    return first


def cases_of_night(silver: Silver, params: NightParams, windows: Windows) -> tuple[Cases, Cases]:
    """Of a night's two windows: what to train on, and what to calibrate (or test) on. Other users in each."""
    train, calibrate = at_once(
        lambda: _cases(silver, params, windows.train, seed=params.seed), lambda: newest_cases(silver, params, windows)
    )
    return train, calibrate


def newest_cases(silver: Silver, params: NightParams, windows: Windows) -> Cases:
    """Of the later window alone, the same in a night that trains as in one that does not."""
    return _cases(silver, params, windows.calibrate, seed=params.seed + 1)


def _cases(silver: Silver, params: NightParams, window: LabelWindow, *, seed: int) -> Cases:
    reference = read_reference(params.lake)
    return labelled_users(
        silver,
        window,
        features=read_table(silver.interactions.sparkSession, params.lake, "gold.user_features"),
        catalogue=reference.catalogue,
        rules=reference.rules,
        now=Moment(params.as_of, params.cut_off),
        params=CaseParams(horizon_days=params.product_horizon_days, seed=seed),
    )


def labelled_users(
    silver: Silver,
    window: LabelWindow,
    *,
    features: DataFrame,
    catalogue: Catalogue,
    rules: Rules,
    now: Moment,
    params: CaseParams,
) -> Cases:
    """A seeded sample of the users who may be profiled, with what they opened in `window`.

    features: gold.user_features. Who is trained on has consented both then and `now`. State, features and labels are
    collected side by side and put together here: joins of hundreds of columns are what Spark plans slowest.
    """
    moment = midnight(window.as_of, like=now)
    everyone = profiled_users(silver, moment).join(profiled_users(silver, now), USER_ID, "left_semi").localCheckpoint()
    users = sample(everyone, most=params.most_users, seed=params.seed)
    state, known, openings, priors = at_once(
        lambda: collected(_state(silver, moment, users=users, catalogue=catalogue), sort_by=USER_ID),
        lambda: collected(training_set(users, features, moment), sort_by=USER_ID),
        lambda: _openings(silver, window),
        lambda: product_priors(silver, moment, catalogue=catalogue, horizon_days=params.horizon_days),
    )
    products = [product.product_id for product in catalogue.products]
    feature_names = tuple(name for name in known.column_names if name.startswith("f_"))
    user_ids = state.column(USER_ID).to_numpy()
    policy = compile_policy(catalogue, rules, today=window.as_of)
    standing = standing_drops(policy, policy_users(state, products=len(products)), channel=None)
    labelled = LabelledUsers(
        user_ids=user_ids,
        features=aligned_features(known, feature_names, user_ids=user_ids),
        pairs=dense_signals(known, SIGNALS, products=products),
        eligible=standing == Drop.NONE,
        labels=aligned_pairs(openings, ("opened",), user_ids=user_ids, products=products)[:, :, 0] > 0,
        products=product_table(catalogue.products, priors),
    )
    return Cases(labelled, feature_names, SIGNALS)


def _state(silver: Silver, moment: Moment, *, users: DataFrame, catalogue: Catalogue) -> DataFrame:
    """`user_state` as seen from an as-of. Segments are left out (0)."""
    return user_state(
        users,
        customers=latest_customers(silver, moment),
        holdings=silver.holdings,
        segments=users.sparkSession.createDataFrame([], f"{USER_ID} bigint, segment smallint"),
        products=[product.product_id for product in catalogue.products],
        as_of=moment.as_of,
    )


def profiled_users(silver: Silver, moment: Moment) -> DataFrame:
    """user_id of who may be profiled: consenting customers; whoever behaved, where no customers come at all."""
    if not silver.has_customers:
        past = silver.interactions.where(F.col(DAY) < F.lit(moment.as_of))
        return past.select(USER_ID).distinct()
    return latest_customers(silver, moment).where("consent_profiling").select(USER_ID)


def sample(users: DataFrame, *, most: int, seed: int) -> DataFrame:
    """About `most` of them, by a hash of user and seed, so that the same users are drawn however they lie."""
    share = min(1.0, most / max(users.count(), 1))
    draw = F.pmod(F.xxhash64(F.col(USER_ID), F.lit(seed)), F.lit(_SAMPLE_UNITS))
    return users.where(draw < round(share * _SAMPLE_UNITS))


def product_priors(silver: Silver, moment: Moment, *, catalogue: Catalogue, horizon_days: int) -> Priors:
    """Log odds that a user opens each product within a horizon, by the openings of the horizon before the as-of.

    Where history is shorter its days are scaled up. A product without openings, or new, has odds by what is like it
    (see `product_prior`).
    """
    first = moment.as_of - timedelta(days=horizon_days)
    past = _opened(silver).where(F.col(DAY) < F.lit(moment.as_of))
    is_recent = F.col(DAY) >= F.lit(first)
    counted = past.groupBy(PRODUCT_ID).agg(F.count_if(is_recent).alias("openings"), F.min(DAY).alias("first")).collect()
    began = {row[PRODUCT_ID]: row["first"] for row in counted}
    openings = {row[PRODUCT_ID]: row["openings"] for row in counted}
    first = max(first, min(began.values(), default=first))
    held = silver.holdings.where(F.col("opened_on") < F.lit(moment.as_of)).groupBy(PRODUCT_ID)
    for row in held.agg(F.min("opened_on").alias("first")).collect():
        began[row[PRODUCT_ID]] = min(row["first"], began.get(row[PRODUCT_ID], row["first"]))
    users = max(profiled_users(silver, moment).count(), 1)
    products = catalogue.products
    counts = np.array([openings.get(product.product_id, 0) for product in products], np.float64)
    exposure = np.array([_exposure(one, began.get(one.product_id), first, moment.as_of) for one in products])
    expected = expected_openings(counts, exposure, likeness(products))
    rate = np.clip(expected * horizon_days / max((moment.as_of - first).days, 1) / (users + 1), 1e-9, 0.5)
    return Priors(np.asarray(np.log(rate / (1 - rate)), np.float32), is_new(exposure))


def _exposure(product: Product, began: date | None, first: date, as_of: date) -> float:
    """Share of the days from `first` to the as-of on which a product was on sale.

    Where the catalogue does not say since when, it is since somebody first had it (`began`); never, where nobody has.
    """
    since = product.on_sale_from or began or as_of
    until = as_of if product.on_sale_to is None else min(as_of, product.on_sale_to + timedelta(days=1))
    return max(0, (until - max(first, since)).days) / max((as_of - first).days, 1)


def midnight(as_of: date, *, like: Moment) -> Moment:
    """The as-of moment of another date, in the same time zone."""
    return Moment(as_of, datetime(as_of.year, as_of.month, as_of.day, tzinfo=like.cut_off.tzinfo))


def _opened(silver: Silver) -> DataFrame:
    return silver.product_events.where(F.col(EVENT_TYPE) == ProductEvent.OPENED.value)


def _openings(silver: Silver, window: LabelWindow) -> pa.Table:
    """user_id, product_id, opened (1) of everybody in the window."""
    inside = (F.col(EVENT_TIME) >= F.lit(window.start)) & (F.col(EVENT_TIME) < F.lit(window.end))
    near = (F.col(DAY) >= F.lit(window.start.date())) & (F.col(DAY) <= F.lit(window.end.date()))
    opened = _opened(silver).where(inside & near).select(USER_ID, PRODUCT_ID).distinct()
    return collected(opened.withColumn("opened", F.lit(1.0).cast("float")), sort_by=USER_ID)
