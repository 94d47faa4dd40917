"""Validation of what a job just wrote, against its contract, by Great Expectations.

Only the files of a table's last write are read. Every validation is kept: `{lake}/validations/<table>/<Delta
version>.json` holds its verdicts and what Great Expectations said; a version that was validated is not read again, and
one whose job was killed in between is validated by the next run.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from threading import Thread
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from data_contracts.checks import Check, checks_of
from data_contracts.tables import TableContract, contract, table_names
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.commits import Commit, last_write, newest_version
from spark_jobs.lake.files import file_exists, read_bytes, write_bytes
from spark_jobs.lake.tables import table_uri

# Up to here one task is quicker than the shuffle that would let several look for repeated keys.
_ROWS_OF_ONE_TASK = 200_000


@dataclass(frozen=True)
class Verdict:
    """One check's outcome. `found` says what broke it, without values of personal columns; empty where it passed."""

    name: str
    passed: bool
    severity: str
    description: str
    found: str = ""


@dataclass(frozen=True)
class Validation:
    """`uri` is where it is kept."""

    uri: str
    verdicts: tuple[Verdict, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """The checks that failed, in words."""
        return tuple(f"{one.description} ({one.found})" for one in self.verdicts if not one.passed)


def load_ahead() -> None:
    """Start loading Great Expectations beside whatever else the process does."""
    Thread(target=import_module, args=("spark_jobs.lake.great_expectations",), daemon=True).start()


def validate_tables(spark: SparkSession, lake: str, names: Iterable[str]) -> dict[str, Validation]:
    """Validate the last write of each table that has a contract with checks and was ever written."""
    commits = {name: last_write(table_uri(lake, name)) for name in sorted({*names} & {*table_names()})}
    steps = [
        partial(_validated, spark, lake, contract(name), commit)
        for name, commit in commits.items()
        if commit is not None and checks_of(contract(name))
    ]
    return dict(at_once(*steps))


def _validated(spark: SparkSession, lake: str, promised: TableContract, commit: Commit) -> tuple[str, Validation]:
    uri = f"{lake}/validations/{promised.name}/{commit.version}.json"
    kept = _kept(uri, checks_of(promised))
    return promised.name, kept or _validate(spark, lake, promised, commit, uri)


def _kept(uri: str, checks: tuple[Check, ...]) -> Validation | None:
    """An earlier validation of the same version by the same checks."""
    if not file_exists(uri):
        return None
    verdicts = tuple(Verdict(**verdict) for verdict in json.loads(read_bytes(uri))["checks"])
    asked = [(check.name, check.severity.value, check.description) for check in checks]
    answered = [(verdict.name, verdict.severity, verdict.description) for verdict in verdicts]
    return Validation(uri, verdicts) if asked == answered else None


def _validate(spark: SparkSession, lake: str, promised: TableContract, commit: Commit, uri: str) -> Validation:
    # Takes seconds, which `load_ahead` lets pass while Spark starts.
    from spark_jobs.lake.great_expectations import Outcome, validate_frame  # noqa: PLC0415

    outcome = Outcome()  # no row breaks no promise
    if commit.rows:
        outcome = validate_frame(_written(spark, table_uri(lake, promised.name), commit), promised, rows=commit.rows)
    verdicts = tuple(
        Verdict(
            check.name,
            passed=check.name not in outcome.found,
            severity=check.severity.value,
            description=check.description,
            found=outcome.found.get(check.name, ""),
        )
        for check in checks_of(promised)
    )
    document = {**_origin(promised, commit), "checks": [asdict(one) for one in verdicts], "results": outcome.results}
    write_bytes(uri, json.dumps(document, indent=1, default=str).encode())
    return Validation(uri, verdicts)


def _written(spark: SparkSession, uri: str, commit: Commit) -> DataFrame:
    """The files that the commit added, as the Parquet they are: asking Delta which they are would cost as much as the
    checks of a small table. The schema is the table's own.
    """
    table = spark.read.format("delta").load(uri)
    if commit.version != newest_version(uri):  # compacted since, so its files may be gone
        return table
    files = [file.uri(uri) for file in commit.added if file.rows]
    frame = spark.read.schema(table.schema).option("basePath", uri).parquet(*files)
    return frame.coalesce(1) if commit.rows <= _ROWS_OF_ONE_TASK else frame


def _partitions(promised: TableContract, commit: Commit) -> list[str]:
    return sorted({str(file.partition[name]) for file in commit.added for name in promised.partition_by[:1]})


def _origin(promised: TableContract, commit: Commit) -> dict[str, Any]:
    return {
        "table": promised.name,
        "contract": promised.version,
        "delta_version": commit.version,
        "partitions": _partitions(promised, commit),
        "rows": commit.rows,
        "validated_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
