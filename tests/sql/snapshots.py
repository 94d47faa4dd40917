"""Small snapshots in the folder layout that the night writes, with true manifests."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.checksums import SNAPSHOT_COLUMNS, counts_of, parquet_batches
from data_contracts.manifest import MANIFEST_FILE, GateVerdict, Manifest
from data_contracts.night import parse_snapshot_id

_ARRAY_TYPES = (pa.int32(), pa.uint16(), pa.uint16())


def write_snapshot(folder: Path, *, snapshot_id: str, users: int = 300, seed: int = 7, files: int = 2) -> Manifest:
    """Write a random but valid snapshot below `folder`, each table in up to `files` files."""
    random = np.random.default_rng(seed)
    for name, table in snapshot_tables(users=users, random=random).items():
        (folder / name).mkdir(parents=True)
        bounds = np.linspace(0, table.num_rows, files + 1).astype(int)
        for number, (start, end) in enumerate(itertools.pairwise(bounds)):
            pq.write_table(table.slice(start, end - start), folder / name / f"part-{number:05d}.parquet")
    return write_manifest(folder, snapshot_id=snapshot_id)


def write_manifest(folder: Path, *, snapshot_id: str) -> Manifest:
    """The manifest of what lies in `folder`."""
    as_of, _ = parse_snapshot_id(snapshot_id)
    manifest = Manifest(
        snapshot_id=snapshot_id,
        as_of=as_of,
        cut_off=datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        tables={
            name: counts_of(
                parquet_batches([pq.ParquetFile(path) for path in sorted((folder / name).glob("*"))], table=name),
                table=name,
            )
            for name in SNAPSHOT_COLUMNS
        },
        gate=GateVerdict(passed=True),
    )
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def snapshot_tables(*, users: int, random: np.random.Generator) -> dict[str, pa.Table]:
    return {
        "lists": pa.table(
            {"user_id": user_ids(users), "variant": ["personal"] * users, **_six_arrays(users, random=random)}
        ),
        "audience_pool": pa.table(
            {
                "variant": ["personal"] * users,
                "item": pa.array(np.arange(users) % 40, pa.int32()),
                "shortfall": pa.array(random.integers(0, 65_536, users), pa.uint16()),
                "user_id": user_ids(users),
                "score": pa.array(random.integers(0, 65_536, users), pa.uint16()),
            }
        ),
        "fallback_lists": pa.table(
            {
                "tier": ["segment", "segment", "popular"],
                "segment": pa.array([1, 2, 0], pa.int16()),
                **_six_arrays(3, random=random),
            }
        ),
        "user_state": _user_state(users, random=random),
        "items": pa.table(
            {
                "item_code": pa.array(range(60), pa.int32()),
                "item_id": [f"product-{code}" if code < 40 else f"offer_{code}" for code in range(60)],
                "kind": ["product"] * 40 + ["offer"] * 20,
                "family": ["card"] * 40 + [""] * 20,
                "name_en": [f"Item {code}" for code in range(60)],
                "name_ru": [f"Товар {code}" for code in range(60)],
            }
        ),
        "portraits": pa.table(
            {
                "product_id": ["product-1", "product-1", "product-2"],
                "feature": ["f_age", "f_spend", "f_age"],
                "holders": pa.array([10, 10, 0], pa.int64()),
                "holders_mean": pa.array([41.5, -0.25, None], pa.float32()),
                "everyone_mean": pa.array([38.0, 0.0, 38.0], pa.float32()),
            }
        ),
    }


def user_ids(users: int) -> pa.Array:
    return pa.array(np.arange(users, dtype=np.int64) * 37 + 11)


def _user_state(users: int, *, random: np.random.Generator) -> pa.Table:
    def whole(low: int, high: int, kind: pa.DataType) -> pa.Array:
        return pa.array(random.integers(low, high, users)).cast(kind)

    return pa.table(
        {
            "user_id": user_ids(users),
            "segment": whole(0, 8, pa.int16()),
            "holdings": _array(users, longest=4, kind=pa.int32(), high=40, random=random),
            "birth_year": whole(1940, 2008, pa.int16()),
            "region": whole(-1, 90, pa.int16()),
            "income_band": whole(-1, 5, pa.int8()),
            "employment": random.choice(["", "employed", "student"], users).tolist(),
            "score_band": whole(0, 6, pa.int8()),
            "arrears_days": whole(-1, 30, pa.int16()),
            "consents": whole(0, 16, pa.uint8()),
        }
    )


def _six_arrays(rows: int, *, random: np.random.Generator) -> dict[str, pa.Array]:
    return {
        f"{kind}_{name}": _array(rows, longest=20, kind=type_, high=60, random=random)
        for kind in ("product", "offer")
        for name, type_ in zip(("items", "scores", "reasons"), _ARRAY_TYPES, strict=True)
    }


def _array(rows: int, *, longest: int, kind: pa.DataType, high: int, random: np.random.Generator) -> pa.Array:
    lengths = random.integers(0, longest + 1, rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(random.integers(0, high, lengths.sum())).cast(kind))
