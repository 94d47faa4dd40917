"""The lake's tables with validity intervals, kept current by the exports that are new.

Ended intervals lie in the partition of the date they ended on, those that hold in the partition of none. So an export
rewrites what holds and adds what it ended, however many exports came before. An older export that comes again, or
late, takes the table back to its date and tells on from there.
"""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.night import NightParams
from data_contracts.tables import contract
from spark_jobs.ingest import silver
from spark_jobs.ingest.lake_steps import good_rows
from spark_jobs.ingest.ledger import Ledger
from spark_jobs.ingest.sources import BY_NAME
from spark_jobs.ingest.validity import AGGREGATES, CUSTOMERS, VALID_FROM, VALID_TO, told_by
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.commits import last_write, newest_version
from spark_jobs.lake.tables import empty_table, read_table, table_uri, write_table

# Table -> the source whose exports tell it.
HISTORIES = {CUSTOMERS: "customers", AGGREGATES: "aggregates"}
# Date of an export -> its fingerprint.
Exports = Mapping[date, str]


def write_histories(spark: SparkSession, ledger: Ledger, params: NightParams) -> dict[str, int]:
    """Returns the version by table name, written now or before. What was never delivered is not made."""
    versions = at_once(*(partial(_write_history, spark, ledger, params, table) for table in HISTORIES))
    return {table: version for table, version in zip(HISTORIES, versions, strict=True) if version is not None}


def _write_history(spark: SparkSession, ledger: Ledger, params: NightParams, table: str) -> int | None:
    """Returns the table's version; None where no export was ever delivered."""
    exports = exports_of(ledger, HISTORIES[table])
    if not exports:
        return None
    uri = table_uri(params.lake, table)
    told = told_exports(uri, table)
    first = first_to_tell(told, exports, since=_kept_since(exports, HISTORIES[table]))
    if first is None:
        return newest_version(uri)
    days = sorted(day for day in exports if day >= first)
    known = _as_before(read_table(spark, params.lake, table), first) if told else empty_table(spark, table)
    rows = good_rows(spark, params.lake, HISTORIES[table], days)
    frame = told_by(known, silver.export_rows(rows, table), days=days, table=table)
    # Ends that an export taken back had set lie on its own date, which need not be one of `days`.
    ends = sorted({*days, *(day for day in told if day >= first)})
    return write_table(
        frame, params.lake, table, partitions=[None, *ends] if told else None, made_from=_note(exports, table)
    )


def exports_of(ledger: Ledger, source: str) -> Exports:
    """Those with rows: an empty export is no news that everybody has gone."""
    entries = [entry for entry in ledger.values() if entry.source == source and entry.rows > entry.quarantined]
    return {entry.day: entry.fingerprint for entry in entries if entry.day}


def told_exports(uri: str, table: str) -> Exports:
    """Which exports the table was told by; none where there is no table, or one of another version of its contract."""
    written = last_write(uri)
    if written is None or not written.note or not written.note.startswith("{"):
        return {}
    note = json.loads(written.note)
    if note.get("contract") != contract(table).version:
        return {}
    return {date.fromisoformat(day): fingerprint for day, fingerprint in note["exports"].items()}


def first_to_tell(told: Exports, exports: Exports, *, since: date = date.min) -> date | None:
    """The first date from which the table must be told again; None where it is told.

    since: exports before it are no longer in bronze; what they told stays told.
    """
    days = {day for day in {*told, *exports} if told.get(day) != exports.get(day)}
    return min((day for day in days if day >= since), default=None)


def _kept_since(exports: Exports, source: str) -> date:
    """The first date whose export bronze surely still holds: its contract tells how long, less a week to be safe."""
    kept = BY_NAME[source].contract.retention_days
    return date.min if kept is None else max(exports) - timedelta(days=max(kept - 7, 0))


def _as_before(history: DataFrame, first: date) -> DataFrame:
    """The intervals that held just before a date, as they stood then."""
    is_over = F.coalesce(F.col(VALID_TO) < F.lit(first), F.lit(False))
    return history.where((F.col(VALID_FROM) < F.lit(first)) & ~is_over).withColumn(VALID_TO, F.lit(None).cast("date"))


def _note(exports: Exports, table: str) -> str:
    told = {day.isoformat(): exports[day] for day in sorted(exports)}
    return json.dumps({"contract": contract(table).version, "exports": told})
