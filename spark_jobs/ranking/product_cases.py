"""The product ranker's cases from the lake: users as seen from an as-of, and what they opened in the window after it.

Belongs here: who is trained on, how many, their features, eligibility and labels, collected as arrays. What the rows
look like is `rows`; the fit is `products`. Nothing later than a window's end is read.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.catalogue import Catalogue, Rules
from data_contracts.columns import DAY, EVENT_TIME, EVENT_TYPE, PRODUCT_ID, USER_ID
from data_contracts.policy import Drop, compile_policy, standing_drops
from data_contracts.vocabulary import ProductEvent
from spark_jobs.features.base import Moment
from spark_jobs.features.engine import user_features
from spark_jobs.features.product_signals import product_signals
from spark_jobs.features.silver import Silver
from spark_jobs.features.sources import latest_customers
from spark_jobs.ranking.kernel import F32, I64
from spark_jobs.ranking.products import LabelledUsers
from spark_jobs.ranking.rows import product_table
from spark_jobs.ranking.user_blocks import user_arrays, user_rows
from spark_jobs.ranking.user_state import user_state
from spark_jobs.ranking.windows import LabelWindow

_SAMPLE_UNITS = 1 << 30


@dataclass(frozen=True)
class CaseParams:
    """`most_users`: how many users of an as-of are looked at; fewer are all taken."""

    most_users: int = 30_000
    horizon_days: int = 30
    seed: int = 7


@dataclass(frozen=True)
class Cases:
    users: LabelledUsers
    feature_names: tuple[str, ...]
    pair_names: tuple[str, ...]


def labelled_users(
    silver: Silver, window: LabelWindow, *, catalogue: Catalogue, rules: Rules, now: Moment, params: CaseParams
) -> Cases:
    """A seeded sample of the users who may be profiled, with what they opened in `window`.

    Who is trained on has consented both then and `now`.
    """
    moment = midnight(window.as_of, like=now)
    everyone = profiled_users(silver, moment).join(profiled_users(silver, now), USER_ID, "left_semi")
    users = sample(everyone, most=params.most_users, seed=params.seed).localCheckpoint()
    rows = rows_at(silver, moment, users=users, catalogue=catalogue)
    names = tuple(name for name in rows.columns if name.startswith("f_") and not name.startswith("f_pair_"))
    pairs = tuple(name for name in rows.columns if name.startswith("f_pair_"))
    table = _collect(rows)
    arrays = user_arrays(table, feature_names=names, pair_names=pairs, products=len(catalogue.products))
    labels = _labels(silver, window, arrays.user_ids, catalogue)
    policy = compile_policy(catalogue, rules, today=window.as_of)
    priors = product_priors(silver, moment, catalogue=catalogue, horizon_days=params.horizon_days)
    labelled = LabelledUsers(
        user_ids=arrays.user_ids,
        features=arrays.features,
        pairs=arrays.pairs,
        eligible=standing_drops(policy, arrays.state, channel=None) == Drop.NONE,
        labels=labels,
        products=product_table(catalogue.products, priors),
    )
    return Cases(labelled, names, pairs)


def rows_at(silver: Silver, moment: Moment, *, users: DataFrame, catalogue: Catalogue) -> DataFrame:
    """`user_rows` of some users as seen from an as-of, features computed anew. Segments are left out (0)."""
    products = [product.product_id for product in catalogue.products]
    none = users.sparkSession.createDataFrame([], f"{USER_ID} bigint, segment smallint")
    state = user_state(
        users,
        customers=latest_customers(silver, moment),
        holdings=silver.holdings,
        segments=none,
        products=products,
        as_of=moment.as_of,
    )
    return user_rows(
        state,
        features=user_features(silver, as_of=moment.as_of, cut_off=moment.cut_off, users=users),
        pairs=product_signals(silver, as_of=moment.as_of, cut_off=moment.cut_off, users=users),
        products=products,
    )


def profiled_users(silver: Silver, moment: Moment) -> DataFrame:
    """user_id of who may be profiled: consenting customers; whoever behaved, where no customers come at all."""
    if silver.customers.isEmpty():
        past = silver.interactions.where(F.col(DAY) < F.lit(moment.as_of))
        return past.select(USER_ID).distinct()
    return latest_customers(silver, moment).where("consent_profiling").select(USER_ID)


def sample(users: DataFrame, *, most: int, seed: int) -> DataFrame:
    """About `most` of them, by a hash of user and seed, so that the same users are drawn however they lie."""
    share = min(1.0, most / max(users.count(), 1))
    draw = F.pmod(F.xxhash64(F.col(USER_ID), F.lit(seed)), F.lit(_SAMPLE_UNITS))
    return users.where(draw < round(share * _SAMPLE_UNITS))


def product_priors(silver: Silver, moment: Moment, *, catalogue: Catalogue, horizon_days: int) -> F32:
    """Log odds that a user opens each product within a horizon, by the openings of the horizon before the as-of.

    Where history is shorter its days are scaled up. Half an opening is added, so that a new product has odds too.
    """
    first = moment.as_of - timedelta(days=horizon_days)
    opened = _opened(silver).where((F.col(DAY) >= F.lit(first)) & (F.col(DAY) < F.lit(moment.as_of)))
    counted = opened.groupBy(PRODUCT_ID).agg(F.count(USER_ID).alias("openings"), F.min(DAY).alias("first")).collect()
    users = max(profiled_users(silver, moment).count(), 1)
    seen_days = (moment.as_of - min((row["first"] for row in counted), default=first)).days
    openings = {row[PRODUCT_ID]: row["openings"] for row in counted}
    counts = np.array([openings.get(product.product_id, 0) for product in catalogue.products], np.float64)
    rate = np.clip((counts + 0.5) * horizon_days / max(seen_days, 1) / (users + 1), 1e-9, 0.5)
    return np.asarray(np.log(rate / (1 - rate)), np.float32)


def midnight(as_of: date, *, like: Moment) -> Moment:
    """The as-of moment of another date, in the same time zone."""
    return Moment(as_of, datetime(as_of.year, as_of.month, as_of.day, tzinfo=like.cut_off.tzinfo))


def _opened(silver: Silver) -> DataFrame:
    return silver.product_events.where(F.col(EVENT_TYPE) == ProductEvent.OPENED.value)


def _labels(silver: Silver, window: LabelWindow, users: I64, catalogue: Catalogue) -> NDArray[np.bool_]:
    inside = (F.col(EVENT_TIME) >= F.lit(window.start)) & (F.col(EVENT_TIME) < F.lit(window.end))
    near = (F.col(DAY) >= F.lit(window.start.date())) & (F.col(DAY) <= F.lit(window.end.date()))
    opened = _opened(silver).where(inside & near).select(USER_ID, PRODUCT_ID).distinct().toPandas()
    codes = {product.product_id: code for code, product in enumerate(catalogue.products)}
    labels = np.zeros((len(users), len(codes)), np.bool_)
    code = opened[PRODUCT_ID].map(codes)
    place = np.searchsorted(users, opened[USER_ID].to_numpy())
    place = np.minimum(place, max(len(users) - 1, 0))
    is_ours = (code.notna() & (users[place] == opened[USER_ID])).to_numpy() if len(users) else np.zeros(0, np.bool_)
    labels[place[is_ours], code[is_ours].astype(int)] = True
    return labels


def _collect(rows: DataFrame) -> pa.Table:
    """All rows in order of user_id, on the driver; sorted here, since Spark would compute everything twice for it."""
    return pa.Table.from_batches(rows._collect_as_arrow()).sort_by(USER_ID)
