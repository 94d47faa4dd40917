"""Accepted feedback arrives: past a kill -9 of the service, and past outages of ClickHouse and Kafka, once each."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Consumer

from api.events_out import events_out
from api.models import Feedback
from api.security import Principal
from data_contracts.events.codec import Codec
from data_contracts.events.registry import KeptSchemas
from data_contracts.manifest import Erasure
from data_contracts.rec_id import RecId
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel
from infra.local.clickhouse.running import running_clickhouse
from infra.local.kafka.running import running_kafka
from sql.client import Address, Store, connected
from sql.erase import erase_user
from sql.migrate import migrate
from tests.day_world import ALICE, FIRST, NOW

TOPIC = "recommendation.feedback"
KEY = b"development-only"
ANYBODY = Principal.anybody()


def given(number: int, *, user_id: int = ALICE) -> dict[str, Any]:
    rec_id = RecId(Channel.WEB, FIRST, "00" * 8, NOW).signed(user_id=user_id, key=KEY)
    context = {"position": number % 100 + 1, "number": number}
    at = NOW.isoformat()
    return {"rec_id": rec_id, "user_id": user_id, "event_type": "click", "timestamp": at, "context": context}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def test_feedback_outlives_an_outage_of_kafka(tmp_path: Path) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    settings = Settings(data_dir=tmp_path, events_to="kafka", kafka_bootstrap=address)

    async def tell(numbers: range, *, after: Callable[[Any], None]) -> None:
        async with events_out(settings, lambda: NOW) as out:
            await asyncio.gather(*(out.desk.accept(Feedback.model_validate(given(n)), caller=ANYBODY) for n in numbers))
            await asyncio.to_thread(after, out)

    # Kafka is away from the start, and the service ends while it is.
    asyncio.run(tell(range(40), after=lambda out: until(lambda: bool(out.feedback_out.sender.outage))))
    with running_kafka(tmp_path / "kafka", port=port):
        asyncio.run(tell(range(30, 60), after=lambda out: until(lambda: out.feedback_out.outbox.depth == 0)))
        consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.subscribe([TOPIC])
        codec = Codec(KeptSchemas())
        events: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + 60
        while len(events) < 60 and time.monotonic() < deadline:
            for message in consumer.consume(100, 1):
                assert message.error() is None
                event = codec.decode(TOPIC, message.value())
                events[event["event_id"]] = event
        consumer.close()
    assert sorted(event["context"] for event in events.values()) == sorted(
        f'{{"number":{n},"position":{n + 1}}}' for n in range(60)
    )
