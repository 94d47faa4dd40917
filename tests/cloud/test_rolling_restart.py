"""A rolling restart of the API as Kubernetes does it: out of rotation, drained, told to end, and in again once ready.

Two instances stand behind a round robin; those who ask keep their connections. No request is lost.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from infra.stack import wait_until_ready

LOOKUP = "/api/v1/recommendations?user_id=1&channel=web"


@dataclass
class Instance:
    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        settings = {
            "RECS_API_PORT": str(self.port),
            "RECS_DATA_DIR": str(self.folder),
            "RECS_CLICKHOUSE_URL": "http://127.0.0.1:9",
            "RECS_AUTH": "off",
        }
        self.process = subprocess.Popen([sys.executable, "-m", "api"], env={**os.environ, **settings})
        wait_until_ready(f"{self.url}/readyz")

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@dataclass
class Rotation:
    """What a Service is: whoever is in it is asked in turn."""

    instances: list[Instance]
    answered: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        with httpx.Client(timeout=30) as client:
            for turn in itertools.count():
                if self.is_over.is_set():
                    return
                there = list(self.instances)
                instance = there[turn % len(there)]
                try:
                    answer = client.get(f"{instance.url}{LOOKUP}")
                    answer.raise_for_status()
                    self.answered[instance.port] += 1
                except httpx.HTTPError as error:
                    self.lost.append(f"{instance.port}: {error!r}")
                time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[list[Instance]]:
    made = [Instance(free_port(), tmp_path / str(number)) for number in range(2)]
    try:
        for one in made:
            one.start()
        yield made
    finally:
        for one in made:
            if one.process is not None:
                one.process.kill()
                one.process.wait()


@contextmanager
def asked(rotation: Rotation, *, clients: int) -> Iterator[None]:
    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(rotation.ask) for _ in range(clients)]
        try:
            yield
        finally:
            rotation.is_over.set()
        for one in asking:
            one.result()


def test_a_rolling_restart_under_load_loses_no_request(instances: list[Instance]) -> None:
    rotation = Rotation(list(instances))
    with asked(rotation, clients=4):
        for one in instances:
            rotation.instances.remove(one)
            time.sleep(0.5)  # preStop: those who have chosen it already are still answered
            assert one.end() in (0, -signal.SIGTERM)
            one.start()
            rotation.answered[one.port] = 0
            rotation.instances.append(one)
        deadline = time.monotonic() + 60
        while not all(rotation.answered[one.port] for one in instances) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert rotation.lost == []
    assert all(rotation.answered[one.port] for one in instances)


def test_a_request_in_progress_is_answered_before_the_process_ends(instances: list[Instance]) -> None:
    one, body = instances[0], b'{"user_ids": [1, 2], "channel": "web"}'
    with socket.create_connection(("127.0.0.1", one.port)) as caller:
        head = f"POST /api/v1/recommendations/batch HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
        caller.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:10])
        time.sleep(0.5)  # until it has been taken up
        assert one.process is not None
        one.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(httpx.ConnectError):  # nobody else is let in meanwhile
            httpx.get(f"{one.url}/healthz")
        caller.sendall(body[10:])
        answer = b""
        while part := caller.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert one.process.wait(timeout=60) in (0, -signal.SIGTERM)
