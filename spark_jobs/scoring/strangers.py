"""What a night gathers of strangers, by segment: what was opened lately, and how profiles and portraits agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from data_contracts.columns import DAY, EVENT_TYPE, PRODUCT_ID, SEGMENT, USER_ID
from data_contracts.vocabulary import ProductEvent
from spark_jobs.candidates.strangers import Doubles, Profiles, stranger_rates
from spark_jobs.features.portraits import PROFILE
from spark_jobs.lake.actions import at_once

# As many as its evaluation counts openings in.
_HORIZONS = 2
# Features are added up as whole thousandths, squares as exact decimals: the same whoever adds first.
_PARTS = 1000.0


@dataclass(frozen=True)
class Seen:
    """What is gathered from, as of a night: rows (user_id, segment) of who is listed; silver.product_events;
    gold.user_features; gold.portraits. users: how many of `rows` are in each segment.
    """

    rows: DataFrame
    users: Mapping[int, int]
    product_events: DataFrame
    features: DataFrame
    portraits: DataFrame
    products: Sequence[str]

    @property
    def segments(self) -> int:
        return max(self.users, default=0) + 1


def night_rates(seen: Seen, *, as_of: date, horizon_days: int) -> Doubles:
    """Openings a user and horizon, [segments, products]; see `stranger_rates`."""
    (openings, horizons), profiles = at_once(
        lambda: openings_by_segment(seen, as_of=as_of, horizon_days=horizon_days), lambda: profiles_by_segment(seen)
    )
    users = np.array([seen.users.get(segment, 0) for segment in range(seen.segments)], np.float64)
    return stranger_rates(openings, users * horizons, profiles.likeness())


def openings_by_segment(seen: Seen, *, as_of: date, horizon_days: int) -> tuple[Doubles, float]:
    """[segments, products] of the last horizons, and how many those were: fewer where events begin later."""
    first = as_of - timedelta(days=_HORIZONS * horizon_days)
    is_late = (F.col(DAY) >= F.lit(first)) & (F.col(DAY) < F.lit(as_of))
    opened = seen.product_events.where((F.col(EVENT_TYPE) == ProductEvent.OPENED.value) & is_late)
    counted = opened.join(seen.rows.select(USER_ID, SEGMENT), USER_ID).groupBy(SEGMENT, PRODUCT_ID)
    found = counted.agg(F.count(F.lit(1)).alias("openings"), F.min(DAY).alias("first")).collect()
    code = {product: number for number, product in enumerate(seen.products)}
    openings = np.zeros((seen.segments, len(code)))
    for row in found:
        if row[PRODUCT_ID] in code:
            openings[row[SEGMENT], code[row[PRODUCT_ID]]] = row["openings"]
    days = (as_of - min((row["first"] for row in found), default=first)).days
    return openings, days / horizon_days


def profiles_by_segment(seen: Seen) -> Profiles:
    """Segments and everyone: of the listed users. Holders: the portraits."""
    known = seen.rows.select(USER_ID, SEGMENT).join(seen.features.select(USER_ID, *PROFILE), USER_ID)
    rows = known.groupBy(SEGMENT).agg(*(column for name in PROFILE for column in _sums(name))).collect()
    counts, sums, squares = (_table(rows, what, seen.segments) for what in ("count", "sum", "squares"))
    many = np.maximum(counts.sum(axis=0), 1)
    everyone = sums.sum(axis=0) / many
    holders = np.full((len(seen.products), len(PROFILE)), np.nan)
    places = {product: number for number, product in enumerate(seen.products)}
    for row in seen.portraits.select(PRODUCT_ID, "feature", "holders_mean").collect():
        if row[PRODUCT_ID] in places and row["feature"] in PROFILE and row["holders_mean"] is not None:
            holders[places[row[PRODUCT_ID]], PROFILE.index(row["feature"])] = row["holders_mean"]
    return Profiles(
        segments=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
        holders=holders,
        everyone=everyone,
        spread=np.sqrt(np.maximum(squares.sum(axis=0) / many - everyone**2, 0.0)),
    )


def _sums(name: str) -> list[Column]:
    parts = F.round(F.col(name) * _PARTS).cast("bigint")
    exact = parts.cast("decimal(19,0)")
    return [
        F.count(name).alias(f"count {name}"),
        F.sum(parts).alias(f"sum {name}"),
        F.sum((exact * exact).cast("decimal(38,0)")).alias(f"squares {name}"),
    ]


def _table(rows: Sequence[Row], what: str, segments: int) -> Doubles:
    """[segments, features] in the features' own units; 0 where nothing is known."""
    unit = {"count": 1.0, "sum": _PARTS, "squares": _PARTS**2}[what]
    table = np.zeros((segments, len(PROFILE)))
    for row in rows:
        table[row[SEGMENT]] = [float(row[f"{what} {name}"] or 0) / unit for name in PROFILE]
    return table
