"""A small sample world for tests, and ways to read what it wrote."""

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fastavro
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from infra.local.world import WorldSummary, generate

FIRST_DAY, D = date(2026, 3, 4), date(2026, 3, 16)
USERS, DAYS = 300, 12
MOSCOW = ZoneInfo("Europe/Moscow")


def make(out: Path, *, users: int = 60, days: int = 5, seed: int = 7, horizon_days: int = 7) -> WorldSummary:
    return generate(out, users=users, days=days, seed=seed, last_date=D, horizon_days=horizon_days)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def partner_rows(world: Path, name: str) -> pd.DataFrame:
    """All days of a T-ECD table."""
    return pd.concat([pq.read_table(path).to_pandas() for path in sorted((world / "tecd" / name).glob("*.pq"))])


def export(world: Path, name: str, day: date = D) -> pa.Table:
    return pq.read_table(world / "dwh" / name / f"dt={day}")


def events(world: Path, topic: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((world / "events" / topic).rglob("*.avro")):
        with path.open("rb") as file:
            for record in fastavro.reader(file):
                yield path, record


def reference(world: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((world / "reference" / f"{name}.yaml").read_text(encoding="utf-8"))
    return document
