"""How many rows each source delivered for tonight, beside what it usually delivers: half a source breaks no contract.

Of sources of events tonight's day is the newest that any of them delivered, so one that stays away alone has 0; of
exports it is their own newest. Rows that went to quarantine count as not delivered. Sources delivered whole, without
days, have no history to be held against.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Any

from data_contracts.gate import gate_rules
from data_contracts.night import NightParams
from spark_jobs.ingest.ledger import DELIVERIES
from spark_jobs.ingest.sources import BY_NAME
from spark_jobs.lake.plain import last_written
from spark_jobs.lake.snapshot_files import let_pass, stopped_nights

SOURCE_ROWS = "source_rows"
# A source that usually brings fewer rows a day comes and goes by chance: it is not asked about.
FEWEST_ROWS = 200
# The median of fewer days says nothing.
_FEWEST_DAYS = 3
_WEEKS, _DAYS = 8, 28

Days = Mapping[date, int]


@dataclass(frozen=True)
class SourceRows:
    """rows: delivered for this day; usual: the median of the days before."""

    source: str
    day: date
    rows: int
    usual: float

    @property
    def share(self) -> float:
        return self.rows / self.usual


@dataclass(frozen=True)
class Deliveries:
    """by_source: rows by day that reached silver. stopped: nights that failed their gate; let_pass: those of them that
    people published although a source was short.
    """

    by_source: Mapping[str, Days]
    stopped: Collection[date] = field(default_factory=frozenset)
    let_pass: Collection[date] = field(default_factory=frozenset)

    def day_of(self, source: str, night: date) -> date | None:
        """Which day of the source a night is about; None where there is none."""
        if not BY_NAME[source].has_events:
            return max((day for day in self.by_source[source] if day <= night), default=None)
        events = (days for name, days in self.by_source.items() if BY_NAME[name].has_events)
        return max((day for days in events for day in days if day < night), default=None)


def tonights_rows(params: NightParams) -> list[SourceRows]:
    """Of the sources that this night was given, those with enough of a past."""
    ledger = last_written(params.lake, DELIVERIES, ("source", "day", "rows", "quarantined"))
    passed_by = let_pass(params.lake, params.as_of)
    deliveries = Deliveries(
        _by_source(ledger, params),
        stopped_nights(params.lake, params.as_of),
        frozenset(one.as_of for one in passed_by if SOURCE_ROWS in one.checks),
    )
    found = (source_rows(deliveries, source, params.as_of) for source in sorted(deliveries.by_source))
    return [one for one in found if one is not None]


def source_rows(deliveries: Deliveries, source: str, night: date) -> SourceRows | None:
    """None where there are too few days or rows to tell what is usual."""
    day = deliveries.day_of(source, night)
    if day is None:
        return None
    days = deliveries.by_source[source]
    since = _let_pass_since(deliveries, source, night)
    stopped = {deliveries.day_of(source, one) for one in deliveries.stopped} - {since}
    before = [one for one in sorted(days) if (since or date.min) <= one < day and one not in stopped]
    usual = _usual(days, before, day, fewest=_FEWEST_DAYS if since is None else 1)
    return None if usual is None or usual < FEWEST_ROWS else SourceRows(source, day, days.get(day, 0), usual)


def _let_pass_since(deliveries: Deliveries, source: str, night: date) -> date | None:
    """The newest day that the source was short on and that people published nevertheless: usual is what came since."""
    for earlier in sorted((one for one in deliveries.let_pass if one < night), reverse=True):
        rows = source_rows(deliveries, source, earlier)
        if rows is not None and not gate_rules()[SOURCE_ROWS].holds(rows.share):
            return rows.day
    return None


def _usual(days: Days, before: Sequence[date], day: date, *, fewest: int) -> float | None:
    """The median of the same weekday where there are enough of it, else of all days."""
    same = [one for one in before if one.weekday() == day.weekday()][-_WEEKS:]
    chosen = same if len(same) >= _FEWEST_DAYS else before[-_DAYS:]
    return median(days[one] for one in chosen) if len(chosen) >= fewest else None


def _by_source(ledger: Iterable[Mapping[str, Any]], params: NightParams) -> dict[str, dict[date, int]]:
    found: dict[str, dict[date, int]] = defaultdict(dict)
    for entry in ledger:
        source = BY_NAME.get(entry["source"])
        if source is not None and entry["day"] is not None and source.root(params):
            found[source.name][entry["day"]] = entry["rows"] - entry["quarantined"]
    return dict(found)
