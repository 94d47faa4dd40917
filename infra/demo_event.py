"""A scene of the demo: one event to Kafka, and the seconds until the answer is another one."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from confluent_kafka import Producer

from api.serving import Snapshot
from data_contracts.errors import RecsError
from data_contracts.events.codec import Codec
from data_contracts.events.registry import registry
from data_contracts.overlay.kinds import FEEDBACK
from data_contracts.overlay.rows import micros
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, FeedbackEvent
from infra.ask import ask
from infra.console import console
from infra.local.kafka.running import running_kafka
from infra.stack import environment
from spark_jobs.landing.clients import ensure_topics, producer
from sql.client import Address, Store, connected
from sql.user_events import erase_events

_SECONDS = 60.0
_PAUSE = 0.01


@contextmanager
def running(name: str, command: Sequence[str], settings: Settings) -> Iterator[None]:
    """A Python module as a process of its own, for this block; what it says is in `logs/<name>.log`."""
    log = settings.data_dir / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment(settings), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def show_event(settings: Settings, user: str, snapshot_id: str) -> None:
    """The user dismisses the first product of the answer. Broker and overlay run only for this."""
    with running_kafka(settings.data_dir / "kafka") as address, connected(Address.of(settings)) as store:
        erase_events(store, int(user))  # of an earlier demo, which would leave fewer products each time
        wired, now = _at(settings.model_copy(update={"kafka_bootstrap": address}), snapshot_id)
        ensure_topics(wired)
        sender, codec = producer(wired), Codec(registry(wired))
        with running("overlay", ["infra.cli", "overlay"], wired):
            # Of nobody: once it is there, the overlay has joined its group.
            before = _stored(store)
            _send(sender, codec, user_id=0, item_id="none", at=now)
            _until(lambda: _stored(store) > before or None, "the overlay stores nothing: see logs/overlay.log")
            first = _products(ask(wired, user, channel="mobile", top_k=3))[0]
            started = time.monotonic()
            _send(sender, codec, user_id=int(user), item_id=first, at=now)
            answer = _until(
                lambda: _without(ask(wired, user, channel="mobile", top_k=3), first),
                "the event changes nothing: see logs/overlay.log",
            )
            seconds = time.monotonic() - started
    console.print(
        f"user {user} dismissed {first}: gone from the answer [bold]{seconds:.2f} s[/bold] after the event was sent to "
        f"Kafka; the answer is now {', '.join(_products(answer))}"
    )


def _at(settings: Settings, snapshot_id: str) -> tuple[Settings, int]:
    """Now, or the snapshot's cut-off where its world lies ahead of this machine's clock, and settings that allow it."""
    clock = datetime.now(UTC)
    now = max(clock, Snapshot(snapshot_id).cut_off(ZoneInfo(settings.timezone)) or clock)
    ahead = (now - clock) // timedelta(seconds=1)
    return settings.model_copy(update={"clock_skew_seconds": settings.clock_skew_seconds + ahead}), micros(now)


def _send(sender: Producer, codec: Codec, *, user_id: int, item_id: str, at: int) -> None:
    event = {
        "event_id": uuid.uuid4().hex,
        "event_time": at,
        "user_id": user_id,
        "event_type": FeedbackEvent.DISMISSED.value,
        "channel": Channel.MOBILE.value,
        "item_id": item_id,
    }
    sender.produce(FEEDBACK, codec.encode(FEEDBACK, event), key=str(user_id))
    sender.flush(_SECONDS)


def _stored(store: Store) -> int:
    return int(store.rows("user_events_v1/count")[0][0])


def _without(answer: dict[str, Any], product_id: str) -> dict[str, Any] | None:
    return None if product_id in _products(answer) else answer


def _products(answer: dict[str, Any]) -> list[str]:
    return [item["product_id"] for item in answer["recommendations"]]


def _until(found: Callable[[], Any], trouble: str) -> Any:
    """What is found, once it is. Raises RecsError with the trouble when it is not in time."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if (result := found()) is not None:
            return result
        time.sleep(_PAUSE)
    raise RecsError(trouble)
