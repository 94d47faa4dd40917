"""Alerts arrive at a real server, survive its bad moments, and carry no secret and no user id."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dagster_project.alerts import Alert, AlertKind, alerts_of, without_secrets
from data_contracts.errors import UnavailableError
from data_contracts.settings import Settings

_ALERT = Alert(AlertKind.FAILED, "night 2026-03-15 failed", "no data before 2026-03-15", {"exit_code": "2"})


@dataclass
class Hook:
    """What a webhook was sent; `answers` are its next status codes, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[Any] = field(default_factory=list)


@contextmanager
def listening(*answers: int) -> Iterator[Hook]:
    hook = Hook(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.received.append(json.loads(body))
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/hook"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_gets_the_alert_as_json() -> None:
    with listening() as hook:
        alerts_of(Settings(alert_webhook_url=hook.url)).send(_ALERT)
    (sent,) = hook.received
    assert sent == {
        "kind": "failed",
        "title": "night 2026-03-15 failed",
        "text": "no data before 2026-03-15",
        "facts": {"exit_code": "2"},
        "runbook": "infra/runbooks/failed-gate.md",
    }


def test_a_webhook_that_is_down_for_a_moment_gets_it_all_the_same() -> None:
    with listening(503, 503) as hook:
        alerts_of(Settings(alert_webhook_url=hook.url)).send(_ALERT)
    assert len(hook.received) == 3


def test_a_webhook_that_refuses_is_an_error_that_does_not_repeat_its_url() -> None:
    with listening(403) as hook, pytest.raises(UnavailableError, match="answered 403") as refused:
        alerts_of(Settings(alert_webhook_url=f"{hook.url}?token=hunter2")).send(_ALERT)
    assert "hunter2" not in str(refused.value)


def test_a_webhook_that_nobody_serves_is_an_error_that_does_not_repeat_its_url() -> None:
    with listening() as hook:
        url = f"{hook.url}?token=hunter2"
    with pytest.raises(UnavailableError) as lost:
        alerts_of(Settings(alert_webhook_url=url)).send(_ALERT)
    assert "hunter2" not in str(lost.value)


def test_without_a_webhook_alerts_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="recs.alerts"):
        alerts_of(Settings()).send(_ALERT)
    assert "night 2026-03-15 failed" in caplog.text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("cannot read s3://key:abc123@store/bucket", "abc123"),
        ("login failed, password=hunter2, user bank", "hunter2"),
        ("Authorization: Bearer eyJhbGciOi", "eyJhbGciOi"),
        ("no features for user_id=1042", "1042"),
        ("User 77 has two segments", "77"),
        ("key 9007199254740993 twice", "9007199254740993"),
        ("row of ivan.petrov@mail.ru", "ivan.petrov"),
    ],
)
def test_what_must_not_leave_the_house_is_hidden(text: str, hidden: str) -> None:
    assert hidden in text
    assert hidden not in without_secrets(text)


def test_what_a_person_needs_stays_readable() -> None:
    text = "snapshot 2026-03-15.1 failed its gate: coverage 0.91 (limit 0.95); 120000 users, file 01294.pq"
    assert without_secrets(text) == text


def test_a_secret_of_the_settings_is_hidden_wherever_it_stands() -> None:
    with listening() as hook:
        alerts = alerts_of(Settings(alert_webhook_url=hook.url, clickhouse_password="correct horse"))
        alerts.send(Alert(AlertKind.FAILED, "x", "said correct horse", {"fact": "correct horse"}))
    assert "correct horse" not in json.dumps(hook.received)
