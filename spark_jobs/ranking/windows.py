"""The time windows of the product ranker: which as-ofs it is trained and calibrated at, and what history that takes.

    train ---gap---[ labels, horizon )  calibrate ---gap---[ labels, horizon )  as_of
Labels of training end where calibration looks from, labels of calibration end where the night looks from.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from data_contracts.errors import InputError
from data_contracts.night import NightParams
from spark_jobs.features.days import midnight

# Behaviour that has to lie before the earliest as-of, so that features say something there.
MIN_HISTORY_DAYS = 7


@dataclass(frozen=True)
class LabelWindow:
    """Openings in [start, end) are the labels of users as seen from 00:00 of `as_of`."""

    as_of: date
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Windows:
    train: LabelWindow
    calibrate: LabelWindow


def windows_of_night(params: NightParams) -> Windows:
    """By the night's own horizon, gap and time zone."""
    return training_windows(
        params.as_of, horizon_days=params.product_horizon_days, gap_hours=params.gap_hours, timezone=params.timezone
    )


def training_windows(as_of: date, *, horizon_days: int, gap_hours: int, timezone: str) -> Windows:
    """The latest windows whose labels are known by `as_of`."""
    span = math.ceil(horizon_days + gap_hours / 24)
    calibrate = as_of - timedelta(days=span)
    train = calibrate - timedelta(days=span)

    def window(looks_from: date) -> LabelWindow:
        start = midnight(looks_from, timezone) + timedelta(hours=gap_hours)
        return LabelWindow(looks_from, start, start + timedelta(days=horizon_days))

    return Windows(train=window(train), calibrate=window(calibrate))


def require_history(earliest: LabelWindow, *, first_day: date, as_of: date, horizon_days: int) -> None:
    """Raises InputError that names the days missing when events begin too late for the earliest window's as-of."""
    needed = earliest.as_of - timedelta(days=MIN_HISTORY_DAYS)
    if first_day <= needed:
        return
    missing = (first_day - needed).days
    raise InputError(
        f"silver.product_events: history too short for a product horizon of {horizon_days} days as of {as_of}: it must "
        f"begin on {needed}, it begins on {first_day}, {missing} days are missing; give earlier days "
        f"or a shorter horizon (RECS_PRODUCT_HORIZON_DAYS)"
    )
