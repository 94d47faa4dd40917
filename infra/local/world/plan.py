"""What a world is to be: its size, seed and dates; and the random streams that make equal seeds give equal bytes.

Days are numbered from 0, the first, to `days`, which is the last date D itself: the moment after the last day.
"""

import zlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from data_contracts.errors import InputError
from data_contracts.night import NightParams
from infra.local.world.parameters import parameters

DAY_ZERO: date = NightParams.model_fields["tecd_day_zero"].default
TIMEZONE: str = NightParams.model_fields["timezone"].default

# Grows whenever the same parameters begin to give another world.
GENERATOR = 2


@dataclass(frozen=True)
class Plan:
    """The parameters of a world. Raises InputError where they make no world."""

    users: int
    days: int
    seed: int
    last_date: date
    horizon_days: int

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        for name in ("users", "days", "horizon_days"):
            if getattr(self, name) < 1:
                raise InputError(f"a world needs {name} of at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise InputError(f"a world's seed is not negative, {self.seed} is")
        if self.first_day < DAY_ZERO:
            raise InputError(f"a world cannot begin before T-ECD's day 0, {DAY_ZERO}: give fewer days or a later date")

    @property
    def first_day(self) -> date:
        return self.last_date - timedelta(days=self.days)

    @property
    def review_days(self) -> int:
        """Days between two reviews of who may be sold what; a horizon never spans more than one."""
        return max(parameters().process.review_days, self.horizon_days)

    def date(self, day: int) -> date:
        return self.first_day + timedelta(days=day)

    def tecd_number(self, day: int) -> int:
        return (self.date(day) - DAY_ZERO).days

    def midnight(self, day: int) -> int:
        """Microseconds since 1970, UTC, of the day's local midnight."""
        local = self.date(day)
        moment = datetime(local.year, local.month, local.day, tzinfo=ZoneInfo(TIMEZONE))
        return int(moment.timestamp()) * 1_000_000

    def review_starts(self) -> tuple[int, ...]:
        """Days on which permissions are renewed: the first day, and back from D in steps of `review_days`."""
        steps = {self.days - count * self.review_days for count in range(self.days // self.review_days + 1)}
        return tuple(sorted({0, *(day for day in steps if day >= 0)}))

    def rng(self, purpose: str, *keys: int) -> np.random.Generator:
        """A stream of its own for each purpose, day and block of users: no order of work can change a draw."""
        sequence = np.random.SeedSequence([self.seed, zlib.crc32(purpose.encode()), *keys])
        return np.random.Generator(np.random.SFC64(sequence))
