"""What every job's main does: read the parameters, start Spark, run, report to Dagster, and end with a clear error.

A job is `python -m spark_jobs.jobs.<name> PARAMETERS`, one JSON object, `NightParams`. Under Dagster it reports
through Pipes, as one custom message `{"report": …}` or `{"error": …}`; started by hand it prints the same report.
"""

import json
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, PipesContext, open_dagster_pipes
from pydantic import ValidationError
from pyspark.sql import SparkSession

from data_contracts.errors import InputError, RecsError
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from data_contracts.tables import table_names
from spark_jobs.lake.commits import last_write
from spark_jobs.lake.session import spark_session
from spark_jobs.lake.tables import table_uri
from spark_jobs.lake.validation import Verdict, load_ahead, validate_tables


@dataclass(frozen=True)
class TableReport:
    """What a job did to one asset. `details` are JSON-able values for its metadata.

    `rows` and `bytes` were written, `read` is what was looked at for them; `reasons` counts the quarantined rows;
    `days`: rows written by day. `fingerprint` stands for the content: equal where that is equal. Bytes and days of a
    lake table that was written are filled in from Delta's log.
    `checks` and `validation` (where they are kept) come from the runner, which validates what the job wrote.
    """

    rows: int
    quarantined: int = 0
    version: int | None = None
    read: int | None = None
    bytes: int | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Verdict, ...] = ()
    validation: str | None = None


@dataclass(frozen=True)
class JobReport:
    """What a job did: a report an asset, and warnings worth a person's look."""

    tables: Mapping[str, TableReport]
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    check_seconds: float = 0.0
    peak_mb: float = 0.0


def main(work: Callable[[SparkSession, NightParams], JobReport], *, writes_tables: bool = True) -> None:
    """Run a Spark job as a process; ends with the error's exit code and one line on standard error.

    `writes_tables`: the lake tables that it reports with a version are validated against their contracts.
    """

    def with_session(params: NightParams) -> JobReport:
        if writes_tables:
            load_ahead()
        settings = Settings()
        spark = spark_session(
            f"recs {params.snapshot_id}",
            master=settings.spark_master,
            driver_memory=settings.spark_driver_memory,
            java_options=settings.spark_java_options,
        )
        try:
            report = work(spark, params)
            return validated(spark, params.lake, report) if writes_tables else report
        finally:
            spark.stop()  # the JVM may be the next job's as well

    main_without_spark(with_session)


def validated(spark: SparkSession, lake: str, report: JobReport) -> JobReport:
    """The report with the verdicts on the tables that it names, and a warning each that breaks its contract."""
    started = time.monotonic()
    written = [name for name, table in report.tables.items() if table.version is not None]
    validations = validate_tables(spark, lake, written)
    tables = {
        name: replace(report.tables[name], checks=one.verdicts, validation=one.uri) for name, one in validations.items()
    }
    broken = [f"{name} breaks its contract: {verdict}" for name, one in validations.items() for verdict in one.broken]
    return replace(
        report,
        tables={**report.tables, **tables},
        warnings=(*report.warnings, *broken),
        check_seconds=time.monotonic() - started,
    )


def main_without_spark(work: Callable[[NightParams], JobReport]) -> None:
    """The same for a job that needs no Spark."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    with _pipes() as pipes:
        try:
            started = time.monotonic()
            params = _parameters(sys.argv)
            report = _with_sizes(work(params), params.lake)
            _tell(pipes, replace(report, seconds=time.monotonic() - started, peak_mb=_peak_mb()))
        except RecsError as error:
            pipes.report_custom_message({"error": str(error), "exit_code": error.exit_code})
            sys.stderr.write(f"error: {error}\n")
            sys.exit(error.exit_code)


@contextmanager
def _pipes() -> Iterator[PipesContext]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without Dagster, Pipes warns that nobody listens
        with open_dagster_pipes() as pipes:
            yield pipes


def _parameters(argv: list[str]) -> NightParams:
    if len(argv) != 2:
        raise InputError(f"{argv[0]} takes one argument, the night's parameters as a JSON object")
    try:
        return NightParams.model_validate_json(argv[1])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the object"
        raise InputError(f"parameters: {where}: {first['msg']}") from error


def _with_sizes(report: JobReport, lake: str) -> JobReport:
    """The report with bytes and rows by day of each lake table whose last commit is the version it names."""
    tables = dict(report.tables)
    for name, table in report.tables.items():
        commit = last_write(table_uri(lake, name)) if name in table_names() and table.rows else None
        if commit is not None and commit.version == table.version:
            tables[name] = replace(table, bytes=commit.bytes, days=commit.days)
    return replace(report, tables=tables)


def _tell(pipes: PipesContext, report: JobReport) -> None:
    for warning in report.warnings:
        pipes.log.warning(warning)
    message = {"report": asdict(report)}
    pipes.report_custom_message(message)
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:  # nobody listens
        sys.stdout.write(json.dumps(message, indent=2, default=str) + "\n")


def _peak_mb() -> float:
    """Peak memory of this process alone; whoever launched it measures the JVM and the Python workers too."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
