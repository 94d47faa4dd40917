"""`recs bench overlay`: how soon a streamed event is in answers, and whether any is lost in a rush.

Broker, engine, service, overlay, senders and askers share the machine. A probe asks for a user whom no other event is
about, sends the dismissal of the best product, and asks again and again until an answer comes without it: its time is
from the call that hands the event to the Kafka client until that answer is there, while 1,000 other events a second
stream by.
"""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
import orjson
from confluent_kafka import Producer

from data_contracts.errors import RecsError
from data_contracts.events.codec import Codec
from data_contracts.events.registry import KeptSchemas
from data_contracts.overlay.kinds import FEEDBACK, TELEMETRY
from data_contracts.settings import Settings
from infra.bench.figure import Figure
from infra.bench.lookup_world import publish_world
from infra.bench.service import running_api
from infra.local.clickhouse.running import running_clickhouse
from infra.local.kafka.running import running_kafka
from spark_jobs.landing.clients import ensure_topics
from sql.client import Address, Store, connected

_USERS, _PRODUCTS = 50_000, 60
_CALM_PER_SECOND, _CALM_SECONDS, _ASKERS = 1_000, 60, 2
_RUSH_PER_SECOND, _RUSH_SECONDS = 5_000, 60
_POLL, _GIVE_UP_SECONDS, _CATCH_UP_SECONDS = 0.02, 30.0, 300.0


@dataclass(frozen=True)
class Trial:
    """How long and how fast; smaller ones are for trying the bench itself."""

    calm_seconds: float = _CALM_SECONDS
    rush_seconds: float = _RUSH_SECONDS
    rush_per_second: int = _RUSH_PER_SECOND


@dataclass
class _Probes:
    """Seconds until each event was in an answer; `lost` never were."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0


def run(trial: Trial | None = None) -> list[Figure]:
    chosen = trial or Trial()
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_clickhouse(Path(scratch) / "clickhouse") as url,
        running_kafka(Path(scratch) / "kafka") as kafka,
    ):
        users = publish_world(Address(url=url), Path(scratch) / "snapshot", users=_USERS).tolist()
        ensure_topics(Settings(kafka_bootstrap=kafka))
        environment = {
            **os.environ,
            "RECS_CLICKHOUSE_URL": url,
            "RECS_DATA_DIR": scratch,
            "RECS_KAFKA_BOOTSTRAP": kafka,
            "RECS_AUTH": "off",
            "RECS_MAX_SNAPSHOT_AGE_DAYS": "36500",
        }
        with (
            running_api(environment) as (service, _),
            _running_overlay(environment),
            connected(Address(url=url)) as store,
        ):
            return [*_calm(chosen, store, kafka, service, users), *_rush(chosen, store, kafka, users)]


@contextmanager
def _running_overlay(environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "infra.cli", "overlay", "--quiet"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield
        finally:
            process.terminate()


def _calm(trial: Trial, store: Store, kafka: str, service: str, users: Sequence[int]) -> list[Figure]:
    """Half of the users are probed, once each; the others are what the stream is about."""
    probed, streamed = users[::2], users[1::2]
    _send(kafka, streamed, per_second=100, seconds=1, name="warm")
    _wait_for(store, 100)
    with _sending(kafka, streamed, per_second=_CALM_PER_SECOND, seconds=trial.calm_seconds + 5, name="calm"):
        time.sleep(2)
        probes = asyncio.run(_probed(kafka, service, probed, seconds=trial.calm_seconds))
    if not probes.seconds:
        raise RecsError("no event came to be in an answer")
    p50, p99 = np.percentile(probes.seconds, [50, 99])
    at = f"at {_CALM_PER_SECOND:,} events/s"
    note = f"{len(probes.seconds)} events, from Kafka produce to answer"
    return [
        Figure(f"event in the answer {at}, p50", round(float(p50), 2), "s", goal=1, note=note),
        Figure(f"event in the answer {at}, p99", round(float(p99), 2), "s", goal=2),
        Figure(f"events in no answer after {_GIVE_UP_SECONDS:.0f} s", probes.lost, "events", goal=0),
    ]


def _rush(trial: Trial, store: Store, kafka: str, users: Sequence[int]) -> list[Figure]:
    before, wanted = _settled(store), int(trial.rush_per_second * trial.rush_seconds)
    _send(kafka, users, per_second=trial.rush_per_second, seconds=trial.rush_seconds, name="rush")
    behind = wanted - (_stored(store) - before)
    ended = time.monotonic()
    _wait_for(store, before + wanted)
    caught_up = time.monotonic() - ended
    what = f"{trial.rush_per_second:,} events/s for {trial.rush_seconds:.0f} s"
    return [
        Figure(f"{what}: lost", wanted - (_stored(store) - before), "events", goal=0),
        Figure(f"{what}: waiting when the last was sent", max(behind, 0), "events"),
        Figure(f"{what}: until all were stored", round(caught_up, 2), "s", goal=10),
    ]


async def _probed(kafka: str, service: str, users: Sequence[int], *, seconds: float) -> _Probes:
    codec, sender = Codec(KeptSchemas()), Producer({"bootstrap.servers": kafka, "linger.ms": 0})
    probes, waiting, until = _Probes(), iter(users), time.monotonic() + seconds

    async def asker(session: aiohttp.ClientSession) -> None:
        for user in waiting:
            if time.monotonic() > until:
                return
            if shown := await _shown(session, service, user):
                started = time.monotonic()
                _dismiss(sender, codec, user, shown[0])
                if await _is_gone(session, service, user, shown[0]):
                    probes.seconds.append(time.monotonic() - started)
                else:
                    probes.lost += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(asker(session) for _ in range(_ASKERS)))
    sender.flush(60)
    return probes


async def _is_gone(session: aiohttp.ClientSession, service: str, user: int, product_id: str) -> bool:
    give_up = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        shown = await _shown(session, service, user)
        # None: answered from memory, which says nothing about this user's events.
        if shown is not None and product_id not in shown:
            return True
        await asyncio.sleep(_POLL)
    return False


async def _shown(session: aiohttp.ClientSession, service: str, user: int) -> list[str] | None:
    """The products of a personal answer; None for an answer of another tier."""
    query = {"user_id": str(user), "channel": "web", "top_k": "3"}
    async with session.get(f"{service}/api/v1/recommendations", params=query) as response:
        answer = orjson.loads(await response.read())
    if answer["tier"] != "personal":
        return None
    return [item["product_id"] for item in answer["recommendations"]]


def _dismiss(sender: Producer, codec: Codec, user: int, product_id: str) -> None:
    now = time.time_ns() // 1_000
    event = {"event_id": f"probe-{user}", "event_time": now, "user_id": user, "event_type": "dismissed"}
    sender.produce(FEEDBACK, codec.encode(FEEDBACK, {**event, "channel": "web", "item_id": product_id}), key=str(user))
    sender.poll(0)


@contextmanager
def _sending(kafka: str, users: Sequence[int], *, per_second: int, seconds: float, name: str) -> Iterator[None]:
    """The same as `_send`, in a process of its own, while the block lasts and until all is sent."""
    arguments = {"per_second": per_second, "seconds": seconds, "name": name}
    process = multiprocessing.get_context("spawn").Process(target=_send, args=(kafka, users), kwargs=arguments)
    process.start()
    try:
        yield
    finally:
        process.join()


def _send(kafka: str, users: Sequence[int], *, per_second: int, seconds: float, name: str) -> None:
    """Page views, evenly over the seconds."""
    codec, sender = Codec(KeptSchemas()), Producer({"bootstrap.servers": kafka, "linger.ms": 5})
    started = time.monotonic()
    for number in range(int(per_second * seconds)):
        user, now = users[number * 7 % len(users)], time.time_ns() // 1_000
        event = {"event_id": f"{name}-{number}", "event_time": now, "user_id": user, "session_id": "s"}
        viewed = {"event_type": "product_view", "product_id": f"product_{number % _PRODUCTS:02}"}
        sender.produce(TELEMETRY, codec.encode(TELEMETRY, {**event, **viewed}), key=str(user))
        if number % 50 == 0:
            sender.poll(0)
            time.sleep(max(0.0, started + number / per_second - time.monotonic()))
    sender.flush(60)


def _settled(store: Store) -> int:
    """Events stored, once no more come."""
    before, count = -1, _stored(store)
    while before != count:
        time.sleep(2)
        before, count = count, _stored(store)
    return count


def _wait_for(store: Store, count: int) -> None:
    deadline = time.monotonic() + _CATCH_UP_SECONDS
    while _stored(store) < count and time.monotonic() < deadline:
        time.sleep(0.1)


def _stored(store: Store) -> int:
    return int(store.rows("user_events_v1/count")[0][0])
