"""Which night is asked for, and whether there is anything to make it of: known before Dagster is."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from spark_jobs.ingest.given import look


def which_night(settings: Settings, day: datetime | None, number: int | None, world: Path | None) -> date:
    """The as-of by date, by T-ECD's day number, or where a sample world ends.

    Raises InputError when none or two are given, and when the sources have nothing for it.
    """
    as_of = _as_of(settings, day, number, world)
    look(
        NightParams(
            as_of=as_of,
            lake=settings.lake_uri,
            sources=settings.sources,
            timezone=settings.timezone,
            tecd_day_zero=settings.tecd_day_zero,
        )
    )
    return as_of


def _as_of(settings: Settings, day: datetime | None, number: int | None, world: Path | None) -> date:
    if day is not None and number is not None:
        raise InputError("--date and --day name the same thing: give one of them")
    if day is not None:
        return day.date()
    if number is not None:
        return settings.tecd_day_zero + timedelta(days=number)
    if world is not None:
        return date.fromisoformat(_about(world)["date"])
    raise InputError("which night? give --date YYYY-MM-DD, or --day with a T-ECD day number")


def horizon_of_world(world: Path) -> int:
    """Days ahead that its truth is about. Raises InputError when the folder is no sample world."""
    return int(_about(world)["horizon_days"])


def _about(world: Path) -> dict[str, Any]:
    path = world / "world.json"
    if not path.exists():
        raise InputError(f"{world} is not a sample world: it has no world.json; make one with recs world")
    about: dict[str, Any] = json.loads(path.read_text())
    return about
