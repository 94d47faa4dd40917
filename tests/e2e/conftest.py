"""One small night, run once by the real command in processes of its own, shared by every end-to-end test."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.observers import Observer

from infra.local.clickhouse.running import running_clickhouse
from infra.local.world import generate
from tests.e2e.nights import DAYS, HORIZON_DAYS, LAST_DATE, SEED, USERS, Night, Opened, Recs, night_arguments

_WITNESS = "witness"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "world"
    generate(out, users=USERS, days=DAYS, seed=SEED, last_date=LAST_DATE, horizon_days=HORIZON_DAYS)
    return out


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as url:
        yield url


@pytest.fixture(scope="session")
def night(world: Path, clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The shared night. What was opened in truth/ while it ran is watched by the kernel's own notices."""
    recs = Recs(tmp_path_factory.mktemp("night"), clickhouse_url)
    opened, observer = Opened(), Observer()
    observer.schedule(opened, str(world / "truth"))
    observer.start()
    try:
        ended = recs(*night_arguments(world, "--json"))
        _prove_awake(opened, world / "truth")
    finally:
        observer.stop()
        observer.join()
    assert ended.returncode == 0, ended.stdout + ended.stderr + _logs(recs)
    return Night(recs, world, json.loads(ended.stdout), frozenset(opened.names - {_WITNESS}))


def _prove_awake(opened: Opened, folder: Path) -> None:
    """The watcher that saw nothing all night must see this, or its silence proves nothing."""
    witness = folder / _WITNESS
    witness.write_text("x")
    witness.read_text()
    deadline = time.monotonic() + 10
    # Notices come a moment later, and those still queued when an observer stops are lost.
    while _WITNESS not in opened.names and time.monotonic() < deadline:
        time.sleep(0.02)
    witness.unlink()
    assert _WITNESS in opened.names, "the watcher of truth/ sees nothing"


def _logs(recs: Recs) -> str:
    """The end of each job's log, for the failure message."""
    logs = sorted(recs.data_dir.glob("logs/*/*.log"))
    return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)
