"""The gold tables of a night, or of a range of nights: what is missing is folded on, written, and recorded.

Every table is replaced by its as-of, and the record comes last: a job that was killed is simply done again.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, DAY
from data_contracts.night import NightParams
from spark_jobs.features.base import Moment
from spark_jobs.features.behaviour_table import BEHAVIOUR, folded
from spark_jobs.features.days import dates, day_spans, midnight
from spark_jobs.features.engine import user_features
from spark_jobs.features.increments import (
    Record,
    Records,
    folds,
    has_features,
    is_current,
    read_records,
    recipe_of,
    record_now,
    sound,
    write_records,
)
from spark_jobs.features.offer_tables import HISTORY, ITEM_FEATURES, write_offer_tables
from spark_jobs.features.portraits import portraits
from spark_jobs.features.profile import PROFILE, feature_profile
from spark_jobs.features.registry import all_features
from spark_jobs.features.segments import segments
from spark_jobs.features.silver import Silver, read_silver
from spark_jobs.features.streams import happenings
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.commits import last_commit
from spark_jobs.lake.tables import read_table, table_exists, table_uri, write_table

USERS, SEGMENTS, PORTRAITS = "gold.user_features", "gold.segments", "gold.portraits"
OF_USERS = (USERS, SEGMENTS, PORTRAITS, PROFILE)
_USERS_A_PARTITION = 25_000
_FEWEST_PARTITIONS = 4


@dataclass(frozen=True)
class Made:
    """Rows of each table at the night's as-of, the as-ofs that were made for it, and how many features there are."""

    rows: Mapping[str, int]
    as_ofs: tuple[date, ...]
    features: int


@dataclass(frozen=True)
class _Run:
    """What the steps share. known: bases that states lie at."""

    spark: SparkSession
    params: NightParams
    silver: Silver
    known: Mapping[str, frozenset[date]]
    partitions: int

    @cached_property
    def first_day(self) -> date | None:
        """Of any stream; None where there is none. A night that goes on from another never asks."""
        streams = (self.silver.interactions, self.silver.product_events, self.silver.campaign_interactions)
        days = at_once(*(partial(lambda rows: rows.agg(F.min(DAY)).collect()[0][0], rows) for rows in streams))
        return min((day for day in days if day), default=None)

    def at(self, as_of: date) -> NightParams:
        return self.params.model_copy(update={"as_of": as_of})

    def write(self, frame: DataFrame, name: str, as_ofs: Sequence[date]) -> dict[date, int]:
        """Replace some as-ofs of a table; the rows of each."""
        write_table(frame, self.params.lake, name, partitions=as_ofs)
        return _rows_by_as_of(self.params.lake, name, as_ofs)

    def rows(self, name: str, as_of: date) -> DataFrame:
        return read_table(self.spark, self.params.lake, name).where(F.col(AS_OF) == F.lit(as_of))


def write_gold(spark: SparkSession, params: NightParams, *, training: Iterable[date], with_nights: bool = True) -> Made:
    """Make whatever is missing of the nights asked for, if so wanted, and the user features at the as-ofs of
    `training`.
    """
    silver = read_silver(spark, params.lake)
    features = all_features(silver.categories)
    now = record_now(params, recipe=recipe_of(feature.name for feature in features))
    records = {} if params.rebuild else sound(read_records(params.lake), now, lake=params.lake)
    known = {name: _as_ofs_of(spark, params.lake, name) & records.keys() for name in (BEHAVIOUR, HISTORY, USERS)}
    run = _Run(spark, params, silver, known, _partitions(records))

    nights = list(dates(params.backfill_from or params.as_of, params.as_of)) if with_nights else []
    todo = [night for night in nights if night not in known[HISTORY] or not _is_made(run, night, records, now)]
    earlier = [as_of for as_of in training if as_of not in todo and not _is_made(run, as_of, records, now)]
    if earlier and run.first_day is not None:
        earlier = [as_of for as_of in earlier if as_of > run.first_day]
    made = _write(run, todo, earlier)
    fresh = {as_of: replace(now, as_of=as_of, rows=rows) for as_of, rows in made.items()}
    records = {**records, **fresh}
    write_records(params.lake, records)
    rows = records[params.as_of].rows if params.as_of in records else {}
    return Made(rows, tuple(sorted(fresh)), len(features))


def _is_made(run: _Run, as_of: date, records: Records, now: Record) -> bool:
    """Of the past the features are enough: the states that they were made from expire long before them."""
    if as_of != now.as_of:
        return has_features(records, as_of, now) and as_of in run.known[USERS]
    return is_current(records, now) and as_of in run.known[USERS] and as_of in run.known[BEHAVIOUR]


def _write(run: _Run, nights: Sequence[date], training: Sequence[date]) -> dict[date, dict[str, int]]:
    """Rows of each table by as-of."""
    made: dict[date, dict[str, int]] = {as_of: {} for as_of in (*training, *nights)}

    def users() -> None:
        for as_of, rows in _write_behaviour(run, list(made)).items():
            made[as_of][BEHAVIOUR] = rows
        for as_of, rows_of in made.items():  # in turn: no two may add columns to one Delta table
            rows_of.update(_write_users(run, as_of, is_night=as_of in nights))

    def offers() -> None:
        for as_of, rows in _write_offers(run, nights).items():
            made[as_of].update(rows)

    at_once(*([users, offers] if nights else [users] if made else []))
    return made


def _write_behaviour(run: _Run, as_ofs: Sequence[date]) -> dict[date, int]:
    rows: dict[date, int] = {}
    for fold in folds(as_ofs, run.known[BEHAVIOUR]):
        first, last = fold.base or run.first_day or fold.as_ofs[-1], fold.as_ofs[-1]
        days = day_spans(first, last, timezone=run.params.timezone)
        frame = folded(
            run.rows(BEHAVIOUR, fold.base).drop(AS_OF) if fold.base else None,
            happenings(run.silver, first=first, before=last),
            days,
            fold.as_ofs,
            partitions=run.partitions,
        )
        rows |= run.write(frame, BEHAVIOUR, fold.as_ofs)
    return rows


def _write_users(run: _Run, as_of: date, *, is_night: bool) -> dict[str, int]:
    """Segments, portraits and profile are made from the features as written, so they agree to the last bit."""
    moment = Moment(as_of, midnight(as_of, run.params.timezone))
    behaviour = run.rows(BEHAVIOUR, as_of)
    made = user_features(behaviour, run.silver, as_of=as_of, cut_off=moment.cut_off, partitions=run.partitions)
    users = run.write(made, USERS, [as_of])[as_of]
    if not is_night:
        return {USERS: users}
    features = run.rows(USERS, as_of)
    frames: dict[str, Callable[[], DataFrame]] = {
        SEGMENTS: lambda: segments(features),
        PORTRAITS: lambda: portraits(features, run.silver, moment),
        PROFILE: lambda: feature_profile(features, as_of=as_of, users=users),
    }
    rows = at_once(*(partial(_made, run, name, frame, as_of) for name, frame in frames.items()))
    return {USERS: users, **dict(zip(frames, rows, strict=True))}


def _made(run: _Run, name: str, frame: Callable[[], DataFrame], as_of: date) -> int:
    return run.write(frame(), name, [as_of])[as_of]


def _write_offers(run: _Run, nights: Sequence[date]) -> dict[date, dict[str, int]]:
    """One night after the other: the index of items is part of what a night may know."""
    known, rows = set(run.known[HISTORY]) - set(nights), {}
    for night in nights:
        base = max((one for one in known if one < night), default=None)
        first = base or run.first_day or night
        offers = write_offer_tables(run.spark, run.at(night), base=base, first=first, partitions=run.partitions)
        rows[night] = {HISTORY: offers.users, ITEM_FEATURES: offers.items}
        known.add(night)
    return rows


def _as_ofs_of(spark: SparkSession, lake: str, name: str) -> frozenset[date]:
    """As-ofs of which a table holds anything, by the names of its files."""
    if not table_exists(lake, name):
        return frozenset()
    files = spark.read.format("delta").load(table_uri(lake, name)).inputFiles()
    found = (re.search(rf"/{AS_OF}=(\d{{4}}-\d{{2}}-\d{{2}})/", file) for file in files)
    return frozenset(date.fromisoformat(match[1]) for match in found if match)


def _rows_by_as_of(lake: str, name: str, as_ofs: Sequence[date]) -> dict[date, int]:
    """As Delta counted them in the commit just made."""
    commit = last_commit(table_uri(lake, name))
    files = () if commit is None else commit.added
    return {
        as_of: sum(file.rows for file in files if file.partition.get(AS_OF) == as_of.isoformat()) for as_of in as_ofs
    }


def _partitions(records: Records) -> int:
    """By the users of the last night known."""
    users = records[max(records)].rows.get(USERS, 0) if records else 0
    return max(_FEWEST_PARTITIONS, math.ceil(users / _USERS_A_PARTITION))
