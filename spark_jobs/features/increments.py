"""Which as-of is made from which: what a night or a backfill still has to fold, and from where.

The records, `{lake}/features/records.json`, are written last and say of each as-of what its tables were made from: the
layout of the states, the recipe of the features, and the version of each silver table. By Delta's log a record tells
whether a day before its as-of was written since, as when events came late or a day was delivered again. Then the as-of
is made anew from the newest one that the change does not touch: a correction is a fold of some days, and gives what a
backfill from nothing would.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache

from data_contracts.night import NightParams
from spark_jobs.features.cells import LAYOUT
from spark_jobs.features.history import HALF_LIVES_HOURS, KEPT_HOURS, MAX_ITEMS, STATS
from spark_jobs.features.streams import STREAMS
from spark_jobs.lake.commits import first_changed_day, newest_version
from spark_jobs.lake.files import read_bytes, write_bytes
from spark_jobs.lake.tables import table_uri

# Silver tables that are seen as they are at the as-of, beside the streams.
_FACTS = (
    "silver.customers",
    "silver.aggregates",
    "silver.holdings",
    "silver.people",
    "silver.items",
    "silver.catalogue",
)


@dataclass(frozen=True)
class Record:
    """What an as-of's tables were made from; rows of each of its gold tables.

    versions: of each silver table, for the streams the one up to which no day before the as-of was written again.
    """

    as_of: date
    layout: str
    recipe: str
    versions: Mapping[str, int]
    rows: Mapping[str, int]

    @property
    def facts(self) -> Mapping[str, int]:
        return {name: version for name, version in self.versions.items() if name in _FACTS}


Records = Mapping[date, Record]


@dataclass(frozen=True)
class Fold:
    """As-ofs to make, ascending, from the state at `base` (None: from the first day there is)."""

    base: date | None
    as_ofs: tuple[date, ...]


def layout_of(params: NightParams) -> str:
    """Of the states: they are folded on only while it is the same."""
    parts = (LAYOUT, params.timezone, params.offer_domains, STATS, HALF_LIVES_HOURS, KEPT_HOURS, MAX_ITEMS)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def recipe_of(names: Iterable[str]) -> str:
    """Of the features: an as-of whose features are named otherwise is made anew."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def record_now(params: NightParams, *, recipe: str) -> Record:
    """Of the night's as-of, by the lake as it stands: to be taken before anything is read."""
    found = {name: newest_version(table_uri(params.lake, name)) for name in (*STREAMS, *_FACTS)}
    versions = {name: version for name, version in found.items() if version is not None}
    return Record(params.as_of, layout_of(params), recipe, versions, rows={})


def read_records(lake: str) -> Records:
    """None where nothing was written yet, or where the file is broken: then everything is made anew."""
    try:
        told = json.loads(read_bytes(_uri(lake)))
        records = [Record(**{**one, "as_of": date.fromisoformat(one["as_of"])}) for one in told]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
    return {record.as_of: record for record in records}


def write_records(lake: str, records: Records) -> None:
    told = [asdict(record) for _, record in sorted(records.items())]
    write_bytes(_uri(lake), json.dumps(told, default=str, indent=1).encode())


def sound(records: Records, now: Record, *, lake: str) -> Records:
    """Those whose states are what a fold from the first day would give now, with their streams seen up to now."""

    @cache
    def first_change(name: str, seen: int) -> date:
        return first_changed_day(table_uri(lake, name), after=seen) or date.max

    streams = {name: version for name, version in now.versions.items() if name in STREAMS}

    def is_sound(record: Record) -> bool:
        changes = (first_change(name, record.versions.get(name, -1)) for name in STREAMS)
        return record.layout == now.layout and min(changes) >= record.as_of

    return {
        as_of: replace(record, versions={**record.versions, **streams})
        for as_of, record in records.items()
        if is_sound(record)
    }


def folds(wanted: Iterable[date], known: Iterable[date]) -> tuple[Fold, ...]:
    """Each wanted as-of from the newest known one before it; those from the same base go together."""
    bases = sorted(known)
    by_base: dict[date | None, list[date]] = {}
    for as_of in sorted(set(wanted)):
        by_base.setdefault(max((one for one in bases if one < as_of), default=None), []).append(as_of)
    return tuple(Fold(base, tuple(as_ofs)) for base, as_ofs in by_base.items())


def has_features(records: Records, as_of: date, now: Record) -> bool:
    """Whether the features of a past as-of are there, by the present recipe: facts stay as they were known then."""
    return as_of in records and records[as_of].recipe == now.recipe


def is_current(records: Records, now: Record) -> bool:
    """Whether the night's own as-of need not be made again: its facts must be those of now, too."""
    return has_features(records, now.as_of, now) and records[now.as_of].facts == now.facts


def _uri(lake: str) -> str:
    return f"{lake}/features/records.json"
