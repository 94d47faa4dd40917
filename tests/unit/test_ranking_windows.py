"""Windows of training and calibration: labels never reach past the as-of that follows."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import InputError
from spark_jobs.ranking.windows import MIN_HISTORY_DAYS, require_history, training_windows

ZONE = "Europe/Moscow"


@given(
    as_of=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    horizon=st.integers(1, 365),
    gap=st.integers(0, 168),
)
def test_labels_end_before_the_as_of_that_uses_them(as_of: date, horizon: int, gap: int) -> None:
    windows = training_windows(as_of, horizon_days=horizon, gap_hours=gap, timezone=ZONE)
    night = datetime(as_of.year, as_of.month, as_of.day, tzinfo=ZoneInfo(ZONE))
    later = windows.calibrate.as_of
    assert windows.train.end <= datetime(later.year, later.month, later.day, tzinfo=ZoneInfo(ZONE))
    assert windows.calibrate.end <= night
    assert night - windows.calibrate.end < timedelta(days=1)


def test_a_week_with_a_gap_of_half_a_day_takes_eight_days() -> None:
    windows = training_windows(date(2026, 3, 16), horizon_days=7, gap_hours=12, timezone=ZONE)
    assert (windows.train.as_of, windows.calibrate.as_of) == (date(2026, 2, 28), date(2026, 3, 8))
    assert windows.calibrate.start == datetime(2026, 3, 8, 12, tzinfo=ZoneInfo(ZONE))


def test_a_short_history_is_refused_with_the_days_that_are_missing() -> None:
    as_of = date(2026, 3, 16)
    windows = training_windows(as_of, horizon_days=7, gap_hours=12, timezone=ZONE)
    enough = windows.train.as_of - timedelta(days=MIN_HISTORY_DAYS)
    require_history(windows.train, first_day=enough, as_of=as_of, horizon_days=7)
    with pytest.raises(InputError, match="begins on 2026-02-24, 3 days are missing"):
        require_history(windows.train, first_day=enough + timedelta(days=3), as_of=as_of, horizon_days=7)
