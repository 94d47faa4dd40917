"""`recs overlay` on a real broker and a real engine: no event lost, none counted twice, whatever is away or killed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer

from api.clickhouse_store import ClickHouseStore
from data_contracts.events.codec import Codec
from data_contracts.events.registry import KeptSchemas
from data_contracts.manifest import Erasure
from data_contracts.overlay import EVENTS, EventRow
from data_contracts.overlay.kinds import FEEDBACK, PRODUCT_EVENTS, TELEMETRY
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF
from data_contracts.settings import Settings
from infra.local.clickhouse.running import running_clickhouse
from infra.local.kafka.running import running_kafka
from spark_jobs.landing.clients import ensure_topics
from sql.client import Address, Store, connected
from sql.erase import erase_user, rows_of
from sql.migrate import migrate
from sql.user_events import put_events
from tests.integration.landing_bank import DAY, event, now

Writer = subprocess.Popen[bytes]
ENOUGH_SECONDS = 180.0


@dataclass(frozen=True)
class Day:
    """A broker, an engine, and what sends events."""

    kafka: str
    store: Store
    folder: Path
    producer: Producer
    codec: Codec

    def send(self, topic: str, one: dict[str, Any]) -> None:
        self.producer.produce(topic, self.codec.encode(topic, one), key=str(one["user_id"]))
        self.producer.poll(0)

    @contextmanager
    def writing(self, clickhouse_url: str = "") -> Iterator[list[Writer]]:
        """One writer that a test may replace; at the end it must end well when told to."""
        writers = [self.start(clickhouse_url)]
        try:
            yield writers
            writers[0].send_signal(signal.SIGTERM)
            assert writers[0].wait(60) == 0
        finally:
            writers[0].kill()

    def start(self, clickhouse_url: str = "") -> Writer:
        environment = {
            **os.environ,
            "RECS_KAFKA_BOOTSTRAP": self.kafka,
            "RECS_KAFKA_SESSION_SECONDS": "1.5",
            "RECS_CLICKHOUSE_URL": clickhouse_url or self.store.address.url,
            "RECS_OVERLAY_GROUP": f"overlay-{self.folder.name}",
        }
        command = [sys.executable, "-m", "infra.cli", "overlay", "--quiet"]
        return subprocess.Popen(command, env=environment)

    def lag(self) -> float | None:
        return self.store.rows("overlay_writers_v1/lag")[0][0]

    def stored(self) -> int:
        return int(self.store.rows("user_events_v1/count")[0][0])


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ENOUGH_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    with running_kafka(tmp_path / "kafka") as kafka, running_clickhouse(tmp_path / "clickhouse") as url:
        migrate(Address(url=url))
        ensure_topics(Settings(kafka_bootstrap=kafka))
        with connected(Address(url=url)) as store:
            producer = Producer({"bootstrap.servers": kafka, "linger.ms": 5})
            yield Day(kafka, store, tmp_path, producer, Codec(KeptSchemas()))


@pytest.mark.parametrize(("events", "kills"), [(4_000, 3), pytest.param(60_000, 30, marks=pytest.mark.chaos)])
def test_writers_killed_at_random_under_load_lose_and_double_none_and_their_silence_shows(
    day: Day, events: int, kills: int
) -> None:
    draw = random.Random(5)
    with day.writing() as writers:
        kill_at = {draw.randrange(events) for _ in range(kills)}
        for number in range(events):
            topic = draw.choice([PRODUCT_EVENTS, TELEMETRY, FEEDBACK])
            one = event(topic, f"k{number}", at=now() - draw.randrange(1_000_000), user_id=draw.randrange(500))
            for _ in range(1 + (draw.random() < 0.1)):
                day.send(topic, {**one, "query": "ипотека"} if topic == TELEMETRY else one)
            if number % 10 == 0:
                time.sleep(0.01)
            if number in kill_at:
                writers[0].kill()
                writers[0].wait()
                writers[0] = day.start()
        day.producer.produce(PRODUCT_EVENTS, b"no event", key="1")
        assert day.producer.flush(60) == 0
        until(lambda: day.stored() == events)
        until(lambda: (day.lag() or 99) < 3)
    until(lambda: (day.lag() or 0) > 5)


def test_events_wait_for_an_engine_that_is_away_and_are_erased_with_their_user(day: Day) -> None:
    folder = day.folder / "other"
    with running_clickhouse(folder) as url:
        migrate(Address(url=url))
    port = int(url.rpartition(":")[2])
    with day.writing(url) as writers:
        day.send(FEEDBACK, event(FEEDBACK, "first", at=now(), user_id=3))
        assert day.producer.flush(60) == 0
        for number in range(2):  # before it was ever there, and after
            time.sleep(1)
            assert writers[0].poll() is None
            with running_clickhouse(folder, port=port), connected(Address(url=url)) as there:
                until(lambda there=there, number=number: rows_of(there, 3)["user_events"] > number)
            day.send(FEEDBACK, event(FEEDBACK, f"later {number}", at=now(), user_id=3))
            assert day.producer.flush(60) == 0
        with running_clickhouse(folder, port=port), connected(Address(url=url)) as there:
            until(lambda: rows_of(there, 3)["user_events"] == 3)
            put_events(there, [EventRow(4, 5, FEEDBACK, "opted_out", "e", "", "crm", "", MAX_CUT_OFF, FOR_GOOD)])
            erased = erase_user(there, 3, manifests={}, note=Erasure(receipt="r", at=datetime.now(UTC)))
            assert (erased.before["user_events"], erased.after["user_events"]) == (3, 0)
            assert rows_of(there, 4)["user_events"] == 1
    assert day.stored() == 0


def test_the_look_up_reads_what_a_rule_may_need(day: Day) -> None:
    cut_off = now() - DAY
    before = cut_off - DAY
    rows = [
        EventRow(1, before, TELEMETRY, "product_view", "fleeting", "card_debit", "", "", before, FOR_GOOD - 1),
        EventRow(1, cut_off, TELEMETRY, "product_view", "fresh", "card_debit", "", "", cut_off, FOR_GOOD - 1),
        EventRow(1, before, PRODUCT_EVENTS, "opened", "held", "card_debit", "", "", MAX_CUT_OFF, FOR_GOOD - 1),
        EventRow(1, before, FEEDBACK, "opted_out", "for good", "", "crm", "", MAX_CUT_OFF, FOR_GOOD),
        EventRow(2, cut_off, TELEMETRY, "search", "another's", "", "", "loan", cut_off, FOR_GOOD - 1),
    ]
    put_events(day.store, rows)

    async def read(user_ids: list[int]) -> pa.Table | None:
        store = ClickHouseStore(day.store.address)
        try:
            return (await store.look_up("2026-03-15.1", user_ids, cut_off=cut_off)).events
        finally:
            await store.close()

    found = asyncio.run(read([1, 9]))
    assert found is not None
    assert found.schema == EVENTS
    assert set(found["event_id"].to_pylist()) == {"fresh", "held", "for good"}
    assert set(found["event_time"].to_pylist()) == {cut_off, before}
    assert asyncio.run(read([9])) is None
