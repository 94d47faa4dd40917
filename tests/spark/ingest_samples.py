"""Tiny deliveries for tests of ingest: each writer puts one file where the source's layout wants it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pyspark.sql import SparkSession

from data_contracts.night import NightParams, Sources
from spark_jobs.lake.commits import newest_version
from spark_jobs.lake.tables import read_table, table_uri

AS_OF = date(2026, 3, 16)
ZONE = ZoneInfo("Europe/Moscow")
DAY_ZERO = date(2022, 8, 27)
MICROS_PER_DAY = 86_400_000_000

AVRO_TYPES: Mapping[str, Any] = {
    "event_time": {"type": "long", "logicalType": "timestamp-micros"},
    "user_id": "long",
    "amount": "double",
    "brand_id": ["null", "long"],
    "screen": ["null", "string"],
    "query": ["null", "string"],
}
PRODUCTS = ({"product_id": "card_debit", "family": "card"}, {"product_id": "loan_cash", "family": "loan"})


@dataclass(frozen=True)
class Deliveries:
    """A folder with the roots of all sources."""

    root: Path

    def params(
        self, *, as_of: date = AS_OF, only: Sequence[str] = ("tecd", "dwh", "events", "reference")
    ) -> NightParams:
        roots = {name: str(self.root / name) for name in only if (self.root / name).exists()}
        return NightParams(as_of=as_of, lake=str(self.root / "lake"), sources=Sources(**roots))

    def marketplace(self, day: date, rows: Sequence[tuple[Any, ...]], *, domain: str = "marketplace") -> Path:
        """Rows of (hours into the day, user_id, item_id, action_type)."""
        micros = [at(day, row[0]) for row in rows]
        return self.parquet(
            f"tecd/{domain}/events/{number(day):05d}.pq",
            {
                "timestamp": pa.array(micros, pa.duration("us")),
                "user_id": pa.array([row[1] for row in rows], pa.uint64()),
                "item_id": pa.array([row[2] for row in rows], pa.large_string()),
                "subdomain": pa.array(["u2i"] * len(rows), pa.large_string()),
                "action_type": pa.array([row[3] for row in rows], pa.large_string()),
                "os": pa.array(["ios"] * len(rows), pa.large_string()),
            },
        )

    def parquet(self, path: str, columns: Mapping[str, pa.Array]) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(dict(columns)), target)
        return target

    def avro(self, topic: str, day: date, rows: Sequence[Mapping[str, Any]], *, hour: int = 12) -> Path:
        """`event_time` of a row counts hours into the bank-local day."""
        target = self.root / "events" / topic / day.isoformat() / f"{hour:02d}" / "part-0.avro"
        target.parent.mkdir(parents=True, exist_ok=True)
        fields = [{"name": name, "type": AVRO_TYPES.get(name, "string")} for name in rows[0]]
        schema = {"type": "record", "name": "Event", "namespace": "bank.events", "fields": fields}
        local = datetime(day.year, day.month, day.day, tzinfo=ZONE)
        typed = [{**row, "event_time": local + timedelta(hours=row["event_time"])} for row in rows]
        with target.open("wb") as stream:
            fastavro.writer(stream, fastavro.parse_schema(schema), typed, codec="deflate")
        return target

    def customers(self, day: date, users: Sequence[int], *, region: Sequence[int] | None = None) -> Path:
        n = len(users)
        return self.parquet(
            f"dwh/customers/dt={day}/part-0.parquet",
            {
                "user_id": pa.array(users, pa.int64()),
                "birth_year": pa.array([1990] * n, pa.int16()),
                "region": pa.array(region or [7] * n, pa.int16()),
                "income_band": pa.array([2] * n, pa.int8()),
                "employment": pa.array(["employed"] * n),
                "lifecycle_stage": pa.array(["active"] * n),
                **{f"consent_{name}": pa.array([True] * n) for name in ("mobile", "web", "crm", "profiling")},
                "score_band": pa.array([1] * n, pa.int8()),
                "credit_limit": pa.array([1000.0] * n),
                "arrears_days": pa.array([0] * n, pa.int16()),
            },
        )

    def holdings(self, day: date, rows: Sequence[tuple[int, str, date, date | None]]) -> Path:
        return self.parquet(
            f"dwh/holdings/dt={day}/part-0.parquet",
            {
                "user_id": pa.array([row[0] for row in rows], pa.int64()),
                "product_id": pa.array([row[1] for row in rows]),
                "opened_on": pa.array([row[2] for row in rows], pa.date32()),
                "closed_on": pa.array([row[3] for row in rows], pa.date32()),
            },
        )

    def reference(self, products: Sequence[Mapping[str, Any]] = PRODUCTS) -> None:
        folder = self.root / "reference"
        folder.mkdir(exist_ok=True)
        common = {"name": {"en": "A", "ru": "А"}, "value": 1.0, "channels": ["mobile"]}
        catalogue = {"version": "1", "products": [{**common, **product} for product in products]}
        (folder / "catalogue.yaml").write_text(yaml.safe_dump(catalogue, allow_unicode=True), encoding="utf-8")
        (folder / "rules.yaml").write_text(yaml.safe_dump({"version": "1"}), encoding="utf-8")
        (folder / "reasons.yaml").write_text(yaml.safe_dump({"version": "1", "reasons": []}), encoding="utf-8")


@dataclass(frozen=True)
class TableRows:
    """Rows of a lake's tables; each version of one is read once."""

    spark: SparkSession
    lake: str
    read: dict[tuple[str, int | None], list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, table: str) -> list[dict[str, Any]]:
        version = table, newest_version(table_uri(self.lake, table))
        if version not in self.read:
            self.read[version] = [row.asDict() for row in read_table(self.spark, self.lake, table).collect()]
        return self.read[version]


def number(day: date) -> int:
    return (day - DAY_ZERO).days


def at(day: date, hours: float) -> int:
    """T-ECD's offset of an hour of a day."""
    return number(day) * MICROS_PER_DAY + int(hours * 3_600_000_000)
