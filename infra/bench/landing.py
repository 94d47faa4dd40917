"""`recs bench landing`: events a second that one consumer lands on one core, from a real broker to durable files."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from data_contracts.errors import RecsError
from data_contracts.events.codec import Codec
from data_contracts.events.registry import KeptSchemas
from data_contracts.settings import Settings
from infra.bench.figure import Figure
from infra.local.kafka.running import running_kafka
from spark_jobs.landing.clients import ensure_topics, producer

_EVENTS = 500_000
_WARM_UP = 10_000
_HOURS = 2
_MICROS = 1_000_000
_REST: dict[str, dict[str, Any]] = {
    "digital.telemetry": {"session_id": "s-1042", "event_type": "screen", "screen": "cards"},
    "bank.transactions": {"amount": 812.5, "direction": "out", "category": "mcc:groceries", "brand_id": 4711},
    "campaign.interactions": {
        "campaign_id": "card-20260315",
        "product_id": "card_debit",
        "channel": "mobile",
        "event_type": "shown",
    },
}


def run() -> list[Figure]:
    """Half a million events of three topics, landed by `recs land --once`, which has one core to itself."""
    with tempfile.TemporaryDirectory() as scratch, running_kafka(Path(scratch) / "kafka") as address:
        settings = Settings(kafka_bootstrap=address, lake=f"{scratch}/lake")
        _send(settings, _WARM_UP)
        _land(settings)
        _send(settings, _EVENTS)
        (broker,) = [one for one in psutil.Process().children(recursive=True) if "java" in one.name()]
        before = sum(broker.cpu_times()[:2])
        seconds, busy = _land(settings)
        broker_busy = sum(broker.cpu_times()[:2]) - before
    note = f"{_EVENTS:,} events, joining the group and ending included"
    return [
        Figure(
            "landed by one consumer on one core",
            round(_EVENTS / seconds),
            "events/s",
            None,
            10_000,
            "higher",
            note=note,
        ),
        Figure("the same by its processor time", round(_EVENTS / busy), "events/s"),
        Figure("the broker's processor time meanwhile", round(broker_busy / seconds, 2), "cores"),
    ]


def _land(settings: Settings) -> tuple[float, float]:
    """Seconds it took, and seconds of processor time."""
    variables = {"RECS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap, "RECS_LAKE": settings.lake_uri}
    command = [sys.executable, "-m", "infra.cli", "land", "--once", "--json"]
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RecsError(f"{' '.join(command)} ended with code {process.returncode}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime


def _send(settings: Settings, count: int) -> None:
    ensure_topics(settings)
    codec, sender = Codec(KeptSchemas()), producer(settings)
    for topic, event in _events(count):
        while len(sender) > 50_000:
            sender.poll(0.05)
        sender.produce(topic, codec.encode(topic, event), key=str(event["user_id"]))
    sender.flush()


def _events(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    draw, now, topics = random.Random(11), time.time_ns() // 1_000, list(_REST)  # noqa: S311 - no secret
    for number in range(count):
        topic = topics[number % len(topics)]
        at = now - draw.randrange(_HOURS * 3600 * _MICROS)
        yield topic, {"event_id": f"{now:x}-{number:x}", "event_time": at, "user_id": number % 50_000, **_REST[topic]}
