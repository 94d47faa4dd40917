"""Where an event belongs: the folder of its day and hour in the bank's time zone, or quarantine, and why. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

LANDING = "landing"
QUARANTINE = "quarantine/landing"
MICROS = 1_000_000
# Every time zone is a whole number of quarters of an hour away from UTC.
_QUARTER = 900 * MICROS


@dataclass(frozen=True)
class Place:
    """`folder` is relative to the lake; `reason` is empty for an event that is welcome."""

    folder: str
    reason: str = ""


@dataclass(frozen=True)
class Router:
    """Times are microseconds since 1970, UTC."""

    timezone: str
    late_days: int
    skew_seconds: int

    def place(self, topic: str, event_time: int, arrived: int) -> Place:
        """Days late are counted in calendar days; what is refused lies by the hour of its arrival."""
        if event_time > arrived + self.skew_seconds * MICROS:
            reason = f"event_time is more than {self.skew_seconds} s ahead of its arrival"
            return Place(f"{QUARANTINE}/{topic}/{self._hour(arrived // _QUARTER)[0]}", reason)
        arrived_folder, arrived_day = self._hour(arrived // _QUARTER)
        # Far more than any zone's offset before the oldest welcome day, so that dates need not hold such times.
        if event_time < arrived - (self.late_days + 3) * 86_400 * MICROS:
            return self._late(topic, arrived_folder)
        folder, day = self._hour(event_time // _QUARTER)
        if arrived_day - day > self.late_days:
            return self._late(topic, arrived_folder)
        return Place(f"{LANDING}/{topic}/{folder}")

    def _late(self, topic: str, arrived_folder: str) -> Place:
        return Place(f"{QUARANTINE}/{topic}/{arrived_folder}", f"it came more than {self.late_days} days late")

    def _hour(self, quarter: int) -> tuple[str, int]:
        return _hour(self._zone, quarter)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


@lru_cache(maxsize=16_384)
def _hour(zone: ZoneInfo, quarter: int) -> tuple[str, int]:
    """`2026-03-15/07` and the number of the day."""
    local = datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone)
    return f"{local:%Y-%m-%d/%H}", local.toordinal()
