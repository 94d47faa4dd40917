"""The one parameter object of a night: every job of it receives the same JSON, so a night can be re-run exactly."""

import re
from datetime import date, datetime, timedelta
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.errors import InputError
from data_contracts.experiments import Experiment, Wanted, wanted
from data_contracts.vocabulary import Domain, Variant

# Whether a night trains: when it is time to, in any case, or not.
Train = Literal["auto", "always", "never"]


class Sources(BaseModel):
    """URIs of what a night reads. Each may be absent, but not all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tecd: str | None = None
    dwh: str | None = None
    events: str | None = None
    reference: str | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if not (self.tecd or self.dwh or self.events or self.reference):
            raise ValueError("a night needs at least one source: tecd, dwh, events or reference")
        return self


class NightParams(BaseModel):
    """What one night is: its as-of, its attempt, its inputs and its sizes.

    Date D means 00:00 of D in the bank's time zone: the night of D sees days before D, up to `cut_off` (exclusive).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: date
    attempt: int = Field(1, ge=1)
    lake: str
    sources: Sources
    timezone: str = "Europe/Moscow"
    tecd_day_zero: date = date(2022, 8, 27)
    offer_domains: tuple[Domain, ...] = (Domain.OFFERS,)
    product_horizon_days: int = Field(30, ge=1, le=365)
    offer_horizon_days: int = Field(1, ge=1, le=30)
    gap_hours: int = Field(12, ge=0, le=168)
    seed: int = 7
    backfill_from: date | None = Field(None, description="first of several as-ofs whose features to make, up to as_of")
    rebuild: bool = Field(False, description="fold features from the first day, whatever is known already")
    registry: str | None = Field(None, description="URL of MLflow; without one a night trains and registers nothing")
    train: Train = "auto"
    train_every_days: int = Field(7, ge=1, description="days after which `auto` trains anew")
    campaigns: str | None = Field(None, description="folder of the campaigns' files; default those that ship")
    stops: tuple[str, ...] = Field((), description="items under a compliance stop when campaigns are assigned")
    late_days: int = Field(7, ge=0, description="days that the events may be late which campaigns are assigned by")
    training_threads: int = Field(2, ge=1, description="fixed, since sums over threads decide the last bits of a model")

    experiments: tuple[Experiment, ...] = Field((), description="those that run while the snapshot is shown")
    outbound: tuple[Variant, ...] = Field((), description="variants of which everybody gets a list")
    uplift_users: int = Field(500, ge=1, description="of the smaller group: fewer tell nothing of who is persuaded")

    @model_validator(mode="after")
    def _backfills_forward(self) -> Self:
        if self.backfill_from is not None and self.backfill_from > self.as_of:
            raise ValueError(f"backfill_from: {self.backfill_from} lies after {self.as_of}")
        return self

    @property
    def snapshot_id(self) -> str:
        return f"{self.as_of.isoformat()}.{self.attempt}"

    @property
    def cut_off(self) -> datetime:
        """The as-of moment, aware."""
        return datetime(self.as_of.year, self.as_of.month, self.as_of.day, tzinfo=ZoneInfo(self.timezone))

    @property
    def snapshot_uri(self) -> str:
        return f"{self.lake}/snapshots/{self.snapshot_id}"

    @property
    def models_uri(self) -> str:
        """Models belong to an as-of: attempts are numbered later, when scoring starts."""
        return f"{self.lake}/models/{self.as_of.isoformat()}"

    @property
    def variants(self) -> tuple[Wanted, ...]:
        """Lists to make besides the personal ones, and whose."""
        return wanted(self.experiments, outbound=self.outbound)

    def tecd_day(self, day: date) -> int:
        """T-ECD's number of a date."""
        return (day - self.tecd_day_zero).days

    def tecd_date(self, number: int) -> date:
        return self.tecd_day_zero + timedelta(days=number)


_SNAPSHOT_ID = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.([1-9][0-9]*)")


def parse_snapshot_id(text: str) -> tuple[date, int]:
    """As-of date and attempt of a snapshot id such as `2026-03-15.1`. Raises InputError."""
    match = _SNAPSHOT_ID.fullmatch(text)
    try:
        as_of, attempt = match.groups() if match else ("", "")
        return date.fromisoformat(as_of), int(attempt)
    except ValueError as error:  # a month 13 too
        raise InputError(
            f"{text!r} is not a snapshot id: expected an as-of date and an attempt, such as 2026-03-15.1"
        ) from error
