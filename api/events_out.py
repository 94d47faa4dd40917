"""The way out of the day's events: an outbox and a sender a topic, and who fills them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from api.exposures import ExposureLog
from api.feedback import FeedbackDesk
from api.outbox import Outbox
from api.sender import LOOK_SECONDS, Sender
from api.sinks import EXPOSURES, FEEDBACK, sink_of
from data_contracts.settings import Settings

_STOP_SECONDS = 5.0
# Each insert is a part that the database writes and merges again and again, beside the look-ups.
_EXPOSURES_SECONDS = 1.0


def outbox_path(settings: Settings, topic: str) -> Path:
    """Of this machine's services; each machine has its own."""
    return settings.data_dir / "api" / f"{topic.rpartition('.')[2]}.sqlite3"


@dataclass(frozen=True)
class Out:
    """One topic's way: `outbox.depth` waits, `sender.outage` says why."""

    outbox: Outbox
    sender: Sender

    @classmethod
    def to(
        cls, settings: Settings, topic: str, *, most: int, is_durable: bool, every_seconds: float = LOOK_SECONDS
    ) -> "Out":
        outbox = Outbox(
            outbox_path(settings, topic),
            most=most,
            is_durable=is_durable,
            keys_known=timedelta(hours=settings.idempotency_hours),
        )
        name = outbox_path(settings, topic).stem
        return cls(outbox, Sender(outbox, sink_of(settings, topic), name=name, every_seconds=every_seconds))

    def stop(self) -> None:
        self.sender.stop(seconds=_STOP_SECONDS)
        self.outbox.close()


@dataclass(frozen=True)
class EventsOut:
    feedback_out: Out
    exposures_out: Out
    desk: FeedbackDesk
    exposures: ExposureLog


@asynccontextmanager
async def events_out(settings: Settings, clock: Callable[[], datetime]) -> AsyncIterator[EventsOut]:
    feedback = Out.to(settings, FEEDBACK, most=settings.feedback_outbox_events, is_durable=True)
    exposed = Out.to(
        settings,
        EXPOSURES,
        most=settings.exposures_outbox_events,
        is_durable=False,
        every_seconds=_EXPOSURES_SECONDS,
    )
    desk = FeedbackDesk(
        feedback.outbox,
        wake=feedback.sender.wake,
        key=settings.signing_key,
        clock=clock,
        good_for=timedelta(days=settings.rec_id_days),
        skew=timedelta(seconds=settings.clock_skew_seconds),
        is_open=settings.feedback == "on",
    )
    exposures = ExposureLog(exposed.outbox)
    for part in (feedback.sender, exposed.sender, exposures):
        part.start()
    try:
        yield EventsOut(feedback, exposed, desk, exposures)
    finally:
        await asyncio.to_thread(exposures.stop, seconds=_STOP_SECONDS)
        await asyncio.gather(*(asyncio.to_thread(out.stop) for out in (feedback, exposed)))
