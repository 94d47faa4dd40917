"""`recs bench outbound`: everybody's lists through overlay and policy, beside a bare SELECT of the same rows.

A fifth of the users have had two events since the night. Database, service and whoever pulls share the machine.
"""

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import uvloop

from data_contracts.vocabulary import Kind, Variant
from infra.bench.contenders import Stage, asked, stage
from infra.bench.figure import Figure
from infra.bench.load import Load, open_loop
from infra.bench.lookup_world import SNAPSHOT
from sql.client import Address, connected
from sql.ranges import ALL

_BLOCK, _PER_SECOND, _LOOKUP_SECONDS = 1 << 20, 100, 10
_FORMATS = ("arrow", "ndjson")


@dataclass(frozen=True)
class Trial:
    users: int = 200_000
    rounds: int = 3


@dataclass(frozen=True)
class _Pulled:
    """Lists a second, by the clock and by the service's processor time."""

    per_second: float
    per_core: float


def run(trial: Trial | None = None) -> list[Figure]:
    chosen = trial or Trial()
    with stage(users=chosen.users) as running:
        before = _memory(running)
        with _peak(running) as peak:
            pulled: dict[str, list[_Pulled]] = {name: [] for name in _FORMATS}
            bare: list[float] = []
            for number in range(chosen.rounds + 1):  # the first warms up
                for name in _FORMATS:
                    pulled[name].append(_pulled(running, name, chosen.users))
                bare.append(_bare(running, chosen.users))
                if not number:
                    before = _memory(running)
        grown = peak() - before
        quiet, under = uvloop.run(_looked_up(running))
        seconds = _exported(running)
        previewed, made = (_audience(running, path, chosen) for path in ("audiences/preview", "audiences"))
    best = {name: max(found[1:], key=lambda one: one.per_core) for name, found in pulled.items()}
    fastest = max(one.per_second for one in pulled["arrow"][1:])
    users = f"{chosen.users:,} users"
    return [
        Figure(
            f"Arrow, by the service's processor time ({users}, best of {chosen.rounds})",
            round(best["arrow"].per_core),
            "lists/s/core",
            goal=200_000,
            better="higher",
        ),
        Figure(
            "NDJSON, by the service's processor time",
            round(best["ndjson"].per_core),
            "lists/s/core",
            goal=50_000,
            better="higher",
        ),
        Figure(
            "Arrow, by the clock (reference: a bare SELECT of the same lists)",
            round(fastest),
            "lists/s",
            reference=round(max(bare[1:])),
            goal=0.5,
            better="higher",
            goal_on="ratio",
        ),
        Figure("memory that pulls take, beyond the first", round(max(0.0, grown)), "MB", goal=300),
        Figure(
            "look-ups' p99 at 100 requests/s under a pull (reference: without)",
            round(under.percentile(99), 1),
            "ms",
            reference=round(quiet.percentile(99), 1),
            goal=2,
            goal_on="ratio",
        ),
        Figure("export to Parquet, seconds a million users", round(1e6 * seconds / chosen.users, 1), "s", goal=20),
        Figure(f"preview of an audience of {_members(chosen):,} of them", round(previewed, 2), "s", goal=1),
        Figure(f"audience of {_members(chosen):,} of them", round(made, 2), "s", goal=2),
    ]


def _request(running: Stage, path: str, body: Any = None) -> urllib.request.Request:
    headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.Request(f"{running.rest}/api/v1/{path}", data=data, headers=headers)  # noqa: S310


def _drained(running: Stage, name: str) -> None:
    with urllib.request.urlopen(_request(running, f"lists?channel=web&top_k=10&format={name}")) as body:  # noqa: S310
        while body.read(_BLOCK):
            pass


def _pulled(running: Stage, name: str, users: int) -> _Pulled:
    process = running.processes["rest"]
    cpu, started = _cpu(process), time.perf_counter()
    _drained(running, name)
    return _Pulled(users / (time.perf_counter() - started), users / (_cpu(process) - cpu))


def _bare(running: Stage, users: int) -> float:
    columns = {f"{name}_column": f"{Kind.PRODUCT.value}_{name}" for name in ("items", "scores", "reasons")}
    ends = {"first": 0, "last": 2**63 - 1, **ALL.parameters}
    with connected(Address(url=running.environment["RECS_CLICKHOUSE_URL"])) as store:
        started = time.perf_counter()
        found = store.table("lists_v1/range", snapshot_id=SNAPSHOT, variant=Variant.PERSONAL.value, **columns, **ends)
        seconds = time.perf_counter() - started
    if found.num_rows != users:
        raise LookupError(f"the bare SELECT found {found.num_rows} lists of {users} users")
    return users / seconds


async def _looked_up(running: Stage) -> tuple[Load, Load]:
    """Without a pull, and while pulls run one after another."""
    draw = np.random.default_rng(11)
    async with asked(running) as asks:

        async def load() -> Load:
            users = draw.choice(running.users, _PER_SECOND * _LOOKUP_SECONDS).tolist()
            return await open_loop(asks["rest"], users, per_second=_PER_SECOND)

        await load()
        quiet = await load()
        is_over = threading.Event()

        def pull() -> None:
            while not is_over.is_set():
                _drained(running, "arrow")

        with ThreadPoolExecutor(1) as pulling:
            pulling.submit(pull)
            await asyncio.sleep(0.5)
            under = await load()
            is_over.set()
    return quiet, under


def _exported(running: Stage) -> float:
    order = {"request_key": f"{time.time()}", "channel": "web", "partitions": 4}
    started = time.perf_counter()
    told = _answer(_request(running, "exports", order))
    while told["state"] != "written":
        if told["state"] == "failed":
            raise LookupError(told["why"])
        time.sleep(0.05)
        told = _answer(_request(running, f"exports/{told['export_id']}"))
    return time.perf_counter() - started


def _members(trial: Trial) -> int:
    return min(100_000, trial.users * 2 // 5)


def _audience(running: Stage, path: str, trial: Trial) -> float:
    """The least of some seconds. By day a few of the product's best may not be contacted."""
    order: dict[str, Any] = {"product_id": "product_01", "channel": "crm", "size": _members(trial)}
    seconds = []
    for _ in range(trial.rounds + 1):
        started = time.perf_counter()
        told = _answer(_request(running, path, order))
        seconds.append(time.perf_counter() - started)
        if told["outcome"]["members"] < 0.9 * order["size"]:
            raise LookupError(f"the audience: {told['outcome']['short']}")
    return min(seconds)


def _answer(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own service, by http
        told: dict[str, Any] = json.loads(answer.read())
        return told


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _memory(running: Stage) -> float:
    return float(running.processes["rest"].memory_info().rss / 2**20)


@contextmanager
def _peak(running: Stage) -> Iterator[Callable[[], float]]:
    """The most memory of the service while the block lasts, MB."""
    most, is_over = [0.0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.05):
            most[0] = max(most[0], _memory(running))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield lambda: most[0]
    finally:
        is_over.set()
        watching.join()
