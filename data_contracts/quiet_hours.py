"""When quiet hours end, on clocks that are put forward and back too. Pure.

Quiet is what the clock on the wall says: an hour that it shows twice is quiet twice, one that it leaves out never is.
Moments are whole minutes since 1970, UTC.
"""

from bisect import bisect_left
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from data_contracts.contact_policy import QuietHours, Zone

_DAY = 1_440


def loud_from(hours: QuietHours, zone: Zone, minute: int) -> int:
    """The first minute from this one on that is not quiet there."""
    end = _of_day(hours.end)
    while is_quiet(hours, here := minute + offset(zone, minute)):
        minute = _before_change(zone, minute, minute + (end - here) % _DAY)
    return minute


def is_quiet(hours: QuietHours, local: int) -> bool:
    """`local`: a minute by the clock on the wall."""
    start, end, now = _of_day(hours.start), _of_day(hours.end), local % _DAY
    return start <= now < end if start <= end else now >= start or now < end


def offset(zone: Zone, minute: int) -> int:
    """Minutes east of UTC, at this minute."""
    if isinstance(zone, float | int):
        return round(zone * 60)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    east = moment.astimezone(ZoneInfo(zone)).utcoffset()
    return (east or timedelta()) // timedelta(minutes=1)


def _before_change(zone: Zone, minute: int, later: int) -> int:
    """`later`, or the first minute before it, and after `minute`, at which clocks go otherwise."""
    here = offset(zone, minute)
    if isinstance(zone, float | int):
        return later
    between = range(minute + 1, later)
    return minute + 1 + bisect_left(between, True, key=lambda one: offset(zone, one) != here)


def _of_day(moment: time) -> int:
    return moment.hour * 60 + moment.minute
