"""`recs bench publish`: a million users into ClickHouse, the pointer moved, and how soon the service follows it."""

import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from infra.bench.figure import Figure
from infra.bench.lookup_world import SNAPSHOT, approve_rules, write_world
from infra.bench.service import running_api
from infra.local.clickhouse.running import running_clickhouse
from sql.client import Address, Store, connected
from sql.load import load
from sql.migrate import migrate
from sql.pointer import publish, read_pointers, rollback
from sql.verify import verify

_USERS, _EARLIER, _EARLIER_USERS, _ROLLBACKS = 1_000_000, "2026-03-14.1", 1_000, 5


def run() -> list[Figure]:
    """A synthetic night of 1M users, 20 products and 20 offers each, after a small one, in the embedded ClickHouse."""
    with tempfile.TemporaryDirectory() as scratch, running_clickhouse(Path(scratch) / "clickhouse") as url:
        write_world(Path(scratch) / _EARLIER, users=_EARLIER_USERS, snapshot_id=_EARLIER)
        users = write_world(Path(scratch) / SNAPSHOT, users=_USERS)
        migrate(Address(url=url))
        with connected(Address(url=url)) as store:
            approve_rules(store)
            verify(store, load(store, snapshot_uri=f"{scratch}/{_EARLIER}"))
            publish(store, _EARLIER, actor="bench")
            figures = [*_loading(store, f"{scratch}/{SNAPSHOT}"), *_moving(store), *_looking_up(store, users)]
            environment = {**os.environ, "RECS_CLICKHOUSE_URL": url, "RECS_DATA_DIR": scratch, "RECS_AUTH": "off"}
            with running_api(environment) as (service, _):
                return [*figures, _following(store, service, user=int(users[0]))]


def _loading(store: Store, snapshot: str) -> list[Figure]:
    started = time.perf_counter()
    manifest = load(store, snapshot_uri=snapshot)
    loaded = time.perf_counter()
    verify(store, manifest)
    verified = time.perf_counter()
    return [
        Figure("1M users × 20 products and 20 offers, loaded and merged", round(loaded - started, 2), "s", goal=10),
        Figure("their counts and checksums verified", round(verified - loaded, 2), "s"),
    ]


def _moving(store: Store) -> list[Figure]:
    move = _each_ms(lambda: publish(store, SNAPSHOT, actor="bench"), times=50)
    poll = _each_ms(lambda: read_pointers(store), times=50)
    return [Figure("pointer move", move, "ms", goal=10), Figure("poll of all pointers", poll, "ms")]


def _looking_up(store: Store, users: NDArray[np.int64]) -> list[Figure]:
    random = np.random.default_rng(11)

    def look_up(statement: str, at_once: int) -> float:
        def once() -> None:
            store.rows(statement, snapshot_id=SNAPSHOT, user_ids=random.choice(users, at_once).tolist())

        return _each_ms(once, times=200)

    return [
        Figure("list of one user, p50", look_up("lists_v1/lookup", 1), "ms"),
        Figure("lists of 100 users in one query, p50", look_up("lists_v1/lookup", 100), "ms"),
        Figure("state of one user, p50", look_up("user_state_v1/lookup", 1), "ms"),
        Figure("states of 100 users in one query, p50", look_up("user_state_v1/lookup", 100), "ms"),
    ]


def _following(store: Store, service: str, *, user: int) -> Figure:
    """The slowest of some rollbacks, from the call to the first answer out of the earlier snapshot."""
    asked = f"{service}/api/v1/recommendations?channel=web&user_id={user}"
    seconds = []
    for _ in range(_ROLLBACKS):
        publish(store, SNAPSHOT, actor="bench")
        _wait_for(asked, SNAPSHOT)
        started = time.perf_counter()
        rollback(store, actor="bench")
        _wait_for(asked, _EARLIER)
        seconds.append(time.perf_counter() - started)
    note = f"slowest of {_ROLLBACKS}"
    return Figure("rollback until the service answers from it", round(max(seconds), 2), "s", goal=1, note=note)


def _wait_for(url: str, snapshot_id: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own service, by http
            if json.load(answer)["snapshot_id"] == snapshot_id:
                return
        time.sleep(0.01)
    raise TimeoutError(f"{url} never answered from {snapshot_id}")


def _each_ms(work: Callable[[], object], *, times: int) -> float:
    """Median of `times` runs, after as many again to warm up."""
    runs = []
    for _ in range(2 * times):
        started = time.perf_counter()
        work()
        runs.append(1000 * (time.perf_counter() - started))
    return round(median(runs[times:]), 2)
