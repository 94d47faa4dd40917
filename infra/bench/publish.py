"""Publishing at a million users: loading a snapshot, moving the pointer, and looking up by key, over HTTP."""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.checksums import SNAPSHOT_COLUMNS, counts_of
from data_contracts.manifest import MANIFEST_FILE, GateVerdict, Manifest
from infra.bench.figure import Figure
from infra.local.clickhouse.running import running_clickhouse
from sql.client import Address, Store, connected
from sql.load import load
from sql.migrate import migrate
from sql.pointer import publish, read_pointers
from sql.verify import verify

_USERS, _K, _PRODUCTS, _OFFERS, _PARTS = 1_000_000, 20, 100, 165_000, 8
_SNAPSHOT = "2026-03-15.1"


def run() -> list[Figure]:
    """A synthetic snapshot of 1M users, 20 products and 20 offers each, into the embedded ClickHouse."""
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot"
        manifest = write_snapshot(snapshot, users=_USERS, random=np.random.default_rng(7))
        with running_clickhouse(Path(folder) / "clickhouse") as url:
            address = Address(url=url)
            migrate(address)
            with connected(address) as store:
                return [*_loading(store, snapshot, manifest), *_moving(store), *_looking_up(store)]


def write_snapshot(folder: Path, *, users: int, random: np.random.Generator) -> Manifest:
    """Parquet in the layout of the night, and its true manifest."""
    size = -(-users // _PARTS)
    parts = {
        "lists": [_lists(start, min(size, users - start), random) for start in range(0, users, size)],
        "fallback_lists": [_fallback_lists(random)],
        "user_state": [_user_state(start, min(size, users - start), random) for start in range(0, users, size)],
        "items": [_items()],
        "portraits": [_portraits()],
    }
    for name, tables in parts.items():
        (folder / name).mkdir(parents=True)
        for number, table in enumerate(tables):
            pq.write_table(table, folder / name / f"part-{number:05d}.parquet", compression="zstd")
    batches = {name: [batch for table in tables for batch in table.to_batches()] for name, tables in parts.items()}
    manifest = Manifest(
        snapshot_id=_SNAPSHOT,
        as_of=date(2026, 3, 15),
        cut_off=datetime(2026, 3, 15, tzinfo=UTC),
        created_at=datetime(2026, 3, 15, tzinfo=UTC),
        tables={name: counts_of(batches[name], table=name) for name in SNAPSHOT_COLUMNS},
        gate=GateVerdict(passed=True),
    )
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _loading(store: Store, snapshot: Path, manifest: Manifest) -> list[Figure]:
    seconds = _seconds(lambda: load(store, snapshot_uri=str(snapshot)))
    return [
        Figure("1M users × 20 products and 20 offers, loaded and merged", seconds, "s", goal=10),
        Figure("counts and checksums of it verified", _seconds(lambda: verify(store, manifest)), "s"),
    ]


def _moving(store: Store) -> list[Figure]:
    milliseconds = _each_ms(lambda: publish(store, _SNAPSHOT, actor="bench"), times=50)
    poll = _each_ms(lambda: read_pointers(store), times=50)
    return [Figure("pointer move", milliseconds, "ms", goal=10), Figure("poll of all pointers", poll, "ms")]


def _looking_up(store: Store) -> list[Figure]:
    random = np.random.default_rng(11)

    def look_up(statement: str, users: int) -> float:
        return _each_ms(
            lambda: store.rows(statement, snapshot_id=_SNAPSHOT, user_ids=_ids(random.integers(0, _USERS, users))),
            times=200,
        )

    return [
        Figure("list of one user, p50", look_up("lists_v1/lookup", 1), "ms"),
        Figure("lists of 100 users in one query, p50", look_up("lists_v1/lookup", 100), "ms"),
        Figure("state of one user, p50", look_up("user_state_v1/lookup", 1), "ms"),
        Figure("states of 100 users in one query, p50", look_up("user_state_v1/lookup", 100), "ms"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 2)


def _each_ms(work: Callable[[], object], *, times: int) -> float:
    """Median of `times` runs, after as many again to warm up."""
    runs = []
    for _ in range(2 * times):
        started = time.perf_counter()
        work()
        runs.append(1000 * (time.perf_counter() - started))
    return round(median(runs[times:]), 2)


def _ids(numbers: NDArray[np.int64]) -> list[int]:
    """User ids with gaps, as real ones have."""
    return [int(number) for number in numbers * 37 + 11]


def _lists(start: int, users: int, random: np.random.Generator) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array(_ids(np.arange(start, start + users)), pa.int64()),
            "variant": ["personal"] * users,
            **_arrays("product", _PRODUCTS, users, random, first=0),
            **_arrays("offer", _OFFERS, users, random, first=_PRODUCTS),
        }
    )


def _fallback_lists(random: np.random.Generator) -> pa.Table:
    return pa.table(
        {
            "tier": ["segment"] * 20 + ["popular"],
            "segment": pa.array([*range(1, 21), 0], pa.int16()),
            **_arrays("product", _PRODUCTS, 21, random, first=0),
            **_arrays("offer", _OFFERS, 21, random, first=_PRODUCTS),
        }
    )


def _arrays(kind: str, items: int, rows: int, random: np.random.Generator, *, first: int) -> dict[str, pa.Array]:
    """Items with a popularity tail, scores falling, two reason codes."""
    popular = (items * random.random((rows, _K), dtype=np.float32) ** 3).astype(np.int32) + first
    scores = -np.sort(-random.integers(8_000, 40_000, (rows, _K)), axis=1).astype(np.uint16)
    reasons = (random.integers(1, 12, (rows, _K)) + 256 * random.integers(0, 12, (rows, _K))).astype(np.uint16)
    offsets = pa.array(np.arange(0, (rows + 1) * _K, _K, dtype=np.int32))
    return {
        f"{kind}_{name}": pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
        for name, values in (("items", popular), ("scores", scores), ("reasons", reasons))
    }


def _user_state(start: int, users: int, random: np.random.Generator) -> pa.Table:
    def whole(low: int, high: int, kind: pa.DataType) -> pa.Array:
        return pa.array(random.integers(low, high, users)).cast(kind)

    held = random.integers(0, 5, users)
    offsets = pa.array(np.concatenate([[0], np.cumsum(held)]).astype(np.int32))
    return pa.table(
        {
            "user_id": pa.array(_ids(np.arange(start, start + users)), pa.int64()),
            "segment": whole(0, 21, pa.int16()),
            "holdings": pa.ListArray.from_arrays(offsets, whole_items(int(held.sum()), random)),
            "birth_year": whole(1940, 2008, pa.int16()),
            "region": whole(-1, 91, pa.int16()),
            "income_band": whole(-1, 5, pa.int8()),
            "employment": random.choice(["", "employed", "student"], users),
            "score_band": whole(0, 6, pa.int8()),
            "arrears_days": whole(-1, 30, pa.int16()),
            "consents": whole(0, 16, pa.uint8()),
        }
    )


def whole_items(size: int, random: np.random.Generator) -> pa.Array:
    return pa.array(random.integers(0, _PRODUCTS, size).astype(np.int32))


def _items() -> pa.Table:
    codes = range(_PRODUCTS + _OFFERS)
    return pa.table(
        {
            "item_code": pa.array(codes, pa.int32()),
            "item_id": [f"item_{code}" for code in codes],
            "kind": ["product" if code < _PRODUCTS else "offer" for code in codes],
            "family": ["card" if code < _PRODUCTS else "" for code in codes],
            "name_en": [f"Item {code}" for code in codes],
            "name_ru": [f"Товар {code}" for code in codes],
        }
    )


def _portraits() -> pa.Table:
    return pa.table(
        {
            "product_id": ["item_1"],
            "feature": ["f_age"],
            "holders": pa.array([1], pa.int64()),
            "holders_mean": pa.array([40.0], pa.float32()),
            "everyone_mean": pa.array([38.0], pa.float32()),
        }
    )
