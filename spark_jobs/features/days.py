"""Days as folds count them: from midnight to midnight in the bank's time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class DaySpan:
    """`start` ≤ time < `end`, microseconds since 1970 UTC; as_of: the date that begins at `end`."""

    as_of: date
    start: int
    end: int


def day_spans(first: date, as_of: date, *, timezone: str) -> tuple[DaySpan, ...]:
    """The days from `first` up to the one before `as_of`, in order."""
    return tuple(_span(first + timedelta(days=n), timezone) for n in range((as_of - first).days))


def midnight(day: date, timezone: str) -> datetime:
    """The aware moment at which a date begins."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone))


def dates(first: date, last: date) -> Iterator[date]:
    """Both included."""
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _span(day: date, timezone: str) -> DaySpan:
    following = day + timedelta(days=1)
    start, end = (round(midnight(one, timezone).timestamp()) * 1_000_000 for one in (day, following))
    return DaySpan(following, start, end)
