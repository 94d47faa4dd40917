"""Commands that run beside the service log as it does: JSON for machines, no token, no user id, only what matters."""

import json
import logging
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.landing import land
from infra.overlay import overlay


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command changes for its whole process is as before afterwards."""
    root, vendors = logging.getLogger(), [logging.getLogger(name) for name in ("urllib3", "clickhouse_connect")]
    handlers, levels = list(root.handlers), [one.level for one in (root, *vendors)]
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.delenv("RECS_LOG_FORMAT", raising=False)
    yield
    root.handlers[:] = handlers
    for one, level in zip((root, *vendors), levels, strict=True):
        one.setLevel(level)


@pytest.mark.parametrize("command", [lambda: overlay(quiet=True), lambda: land(once=True)], ids=["overlay", "land"])
def test_a_command_that_runs_on_logs_as_the_service_does(
    command: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*_: Any, **__: Any) -> dict[str, Any]:
        log = logging.getLogger("recs.told")
        log.info("joined")
        log.warning("refused: user_id=4242424242 param_user_ids=%%5B4242424242%%5D Bearer %s", "eyJhbGci.eyJ.sig")
        return {}

    monkeypatch.setattr("infra.overlay.run", told)
    monkeypatch.setattr("spark_jobs.landing.run.land", told)
    command()
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["level"], line["logger"]) == ("warning", "recs.told")
    assert not {one for one in ("4242424242", "eyJ") if one in line["message"]}
