"""Accepted feedback arrives: past a kill -9 of the service, and past outages of ClickHouse and Kafka, once each."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api import sinks
from api.app import create_app
from api.events_out import Out
from api.overlay_writer import traceparents
from api.traces import Traces
from data_contracts.events.codec import Codec
from data_contracts.events.registry import KeptSchemas
from data_contracts.manifest import Erasure
from data_contracts.rec_id import RecId
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel
from infra.local.clickhouse.running import running_clickhouse
from infra.local.embedded import free_port
from infra.local.kafka.running import running_kafka
from sql.client import Address, Store, connected
from sql.erase import erase_user
from sql.migrate import migrate
from tests.day_world import ALICE, FIRST, NOW, FakeStore

TOPIC = "recommendation.feedback"
KEY = b"development-only"


def given(number: int, *, user_id: int = ALICE) -> dict[str, Any]:
    rec_id = RecId(Channel.WEB, FIRST, "00" * 8, NOW).signed(user_id=user_id, key=KEY)
    context = {"position": number % 100 + 1, "number": number}
    at = NOW.isoformat()
    return {"rec_id": rec_id, "user_id": user_id, "event_type": "click", "timestamp": at, "context": context}


def until(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def running_api(folder: Path, *, clickhouse: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    port = free_port()
    environment = {**os.environ, "RECS_CLICKHOUSE_URL": clickhouse, "RECS_DATA_DIR": str(folder), "RECS_AUTH": "off"}
    command = [sys.executable, "-m", "uvicorn", "api.main:app", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url))
            yield url, process
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def counts(store: Store) -> tuple[int, int]:
    """Feedback of Alice, all rows and different ones."""
    rows = store.rows("feedback_v1/of_user", user_id=ALICE)
    return len(rows), len({event_id for event_id, *_ in rows})


def test_feedback_outlives_a_kill_of_the_service_and_an_outage_of_clickhouse(tmp_path: Path) -> None:
    port = free_port()
    clickhouse = f"http://127.0.0.1:{port}"
    with running_api(tmp_path, clickhouse=clickhouse) as (url, process):
        with httpx.Client(base_url=url) as client:
            ids = {client.post("/api/v1/recommendations/feedback", json=given(n)).json()["id"] for n in range(100)}
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running_api(tmp_path, clickhouse=clickhouse), running_clickhouse(tmp_path / "ch", port=port):
        # Up, but without tables: no fault of the events, so they wait.
        time.sleep(1)
        migrate(Address(url=clickhouse))
        with connected(Address(url=clickhouse)) as store:
            until(lambda: counts(store) == (100, 100))
            assert {event_id for event_id, *_ in store.rows("feedback_v1/of_user", user_id=ALICE)} == ids
            note = Erasure(receipt="receipt", at=NOW)
            erased = erase_user(store, ALICE, manifests={}, note=note)
            assert (erased.before["feedback"], erased.after["feedback"]) == (100, 0)


def test_feedback_outlives_outages_of_kafka_and_answers_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from the start and past a restart of the service, then back, stopped, and back again."""
    monkeypatch.setattr(sinks, "_SECONDS", 2)  # until what does not answer is away: then it is tried again
    port = free_port()
    address = f"127.0.0.1:{port}"
    settings = Settings(
        data_dir=tmp_path,
        events_to="kafka",
        kafka_bootstrap=address,
        clickhouse_url="http://127.0.0.1:9",
        lookup_deadline_ms=5_000,
    )

    def start() -> TestClient:
        traces = Traces.to(SimpleSpanProcessor(InMemorySpanExporter()), share=1)
        return TestClient(create_app(settings, store=FakeStore(), clock=lambda: NOW, traces=traces))

    def tell(client: TestClient, numbers: range) -> Out:
        for number in numbers:
            assert client.post("/api/v1/recommendations/feedback", json=given(number)).status_code == 202
            asked = {"user_id": ALICE, "channel": "web"}
            assert client.get("/api/v1/recommendations", params=asked).json()["tier"] == "personal"
        out: Out = client.app.state.service.out.feedback_out  # type: ignore[attr-defined]
        return out

    with start() as client:
        out = tell(client, range(10))
        until(lambda: bool(out.sender.outage))
    with start() as client:
        with running_kafka(tmp_path / "kafka", port=port):
            out = tell(client, range(5, 20))
            until(lambda: out.outbox.depth == 0)
        tell(client, range(20, 30))
        until(lambda: bool(out.sender.outage))
        assert out.outbox.depth == 10
        with running_kafka(tmp_path / "kafka", port=port):
            until(lambda: out.outbox.depth == 0)
            messages = _read(address, 30)
    assert sorted(messages) == sorted(f'{{"number":{n},"position":{n + 1}}}' for n in range(30))
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", trace) for trace in messages.values())
    assert len(set(messages.values())) == 30


def _read(address: str, events: int) -> dict[str, str]:
    """Contexts of the topic's different events, and their traceparents."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPIC])
    codec, found, deadline = Codec(KeptSchemas()), {}, time.monotonic() + 60
    while len(found) < events and time.monotonic() < deadline:
        for message in consumer.consume(100, 1):
            assert message.error() is None
            found[codec.decode(TOPIC, message.value())["context"]] = "".join(traceparents([message]))
    consumer.close()
    return found
