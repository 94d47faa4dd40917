"""Job `maintenance`: every table expired by its contract, compacted and vacuumed; old landed days removed."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta

from pyspark.sql import SparkSession

from data_contracts.columns import DAY
from data_contracts.events import TOPICS
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from data_contracts.tables import contract, table_names
from spark_jobs.ingest.sources import SOURCES, Layout
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.maintenance import Limits, Table, Upkeep, expire_folders, maintain
from spark_jobs.lake.tables import table_uri


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """Nothing that the as-of's night needs goes: retention in contracts is longer than its windows."""
    settings = Settings()
    limits = Limits(small_files=settings.compact_files, vacuum_hours=settings.vacuum_hours)
    done = [maintain(spark, table, as_of=params.as_of, limits=limits) for table in _tables(params.lake) if table.exists]
    return JobReport(tables={"maintenance": _report(done, landed_days=expire_landed(params, settings))})


def _tables(lake: str) -> Iterator[Table]:
    """Those of the contracts, and the quarantine of each source, which lasts as long as its bronze."""
    for name in table_names():
        promised = contract(name)
        partition = promised.partition_by[0] if promised.partition_by else None
        yield Table(name, table_uri(lake, name), partition, promised.retention_days)
    for source in SOURCES:
        name = f"quarantine.{source.name}"
        yield Table(name, table_uri(lake, name), DAY, source.contract.retention_days)


def expire_landed(params: NightParams, settings: Settings) -> int:
    """Remove days of landed topics, and of their refused events: kept as long as the bronze that is made of them, or
    by the settings. Returns how many.
    """
    bronze = {source.folder: source.contract.retention_days for source in SOURCES if source.layout is Layout.HOURLY}
    removed = 0
    for topic in TOPICS:
        days = bronze.get(topic, settings.landed_days)
        if days is not None:
            first = params.as_of - timedelta(days=days)
            for place in ("landing", "quarantine/landing"):
                removed += expire_folders(f"{params.lake}/{place}/{topic}", before=first)
    return removed


def _report(done: list[Upkeep], *, landed_days: int) -> TableReport:
    touched = [asdict(one) for one in done if one.expired_rows or one.compacted_partitions or one.files_removed]
    details = {
        "files_removed": sum(one.files_removed for one in done),
        "bytes_removed": sum(one.bytes_removed for one in done),
        "compacted_partitions": sum(one.compacted_partitions for one in done),
        "landed_days_removed": landed_days,
        "tables_looked_at": len(done),
        "by_table": touched,
    }
    return TableReport(rows=sum(one.expired_rows for one in done), details=details)


if __name__ == "__main__":
    main(run)
