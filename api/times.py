"""When an answer is given, as far as that decides on it: for look-ups now, and for explanations of then. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import pyarrow as pa

from api.contact import KeptBack
from api.layout import UserData
from api.overlay_changes import Changes
from api.serving import Serving, Snapshot
from api.store import Found
from data_contracts.overlay import Overlay, overlay
from data_contracts.overlay.rows import micros
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel


@dataclass(frozen=True)
class Moment:
    """`now` is never before the cut-off, nor `today`, at the bank, before its day: sample worlds lie in the future.

    `age`: since the cut-off, negative in such a world; None before the first snapshot. `late`: how long before the
    cut-off events may have happened that the snapshot has not seen.
    """

    cut_off: datetime
    now: datetime
    today: date
    age: timedelta | None
    is_outdated: bool
    late: timedelta

    @property
    def cut_off_micros(self) -> int:
        return micros(self.cut_off)

    def overlay(self, events: pa.Table) -> Overlay:
        late = self.late // timedelta(microseconds=1)
        return overlay(events, cut_off=micros(self.cut_off), now=micros(self.now), late=late)

    def user_data(
        self,
        serving: Serving,
        found: Found,
        channels: Collection[Channel] = tuple(Channel),
    ) -> UserData:
        """Of a snapshot that is too old to be called personal, what it says of users only serves the policy."""
        lists = {} if self.is_outdated else found.lists
        return UserData(found.states, lists, self.changes(serving, found.events, channels))

    def changes(
        self, serving: Serving, events: pa.Table | None, channels: Collection[Channel] = tuple(Channel)
    ) -> Changes | None:
        """For answers in `channels`; None where nothing happened."""
        if events is None:
            return None
        kept_back = KeptBack.of(serving, events, channels=channels, now=micros(self.now))
        return Changes.of(serving, self.overlay(events), kept_back)


@dataclass(frozen=True)
class Times:
    timezone: ZoneInfo
    max_age: timedelta
    late: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            timezone=ZoneInfo(settings.timezone),
            max_age=timedelta(days=settings.max_snapshot_age_days),
            late=timedelta(days=settings.late_event_days),
        )

    def moment(self, snapshot: Snapshot, at: datetime) -> Moment:
        """Of an answer from a snapshot; before the first one the cut-off is now."""
        cut_off = snapshot.cut_off(self.timezone)
        now = max(at, cut_off or at)
        age = None if cut_off is None else at - cut_off
        return Moment(
            cut_off=cut_off or at,
            now=now,
            today=now.astimezone(self.timezone).date(),
            age=age,
            is_outdated=age is not None and age > self.max_age,
            late=self.late,
        )
