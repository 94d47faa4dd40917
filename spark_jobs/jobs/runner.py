"""What every job's main does: read the parameters, start Spark, run, report to Dagster, and end with a clear error.

A job is `python -m spark_jobs.jobs.<name> PARAMETERS`, one JSON object, `NightParams`. Under Dagster it reports
through Pipes; started by hand it prints the same report.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes
from pydantic import ValidationError
from pyspark.sql import SparkSession

from data_contracts.errors import InputError, RecsError
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from spark_jobs.lake.session import spark_session


@dataclass(frozen=True)
class TableReport:
    """What a job did to one asset. `details` are JSON-able values for its metadata."""

    rows: int
    quarantined: int = 0
    version: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobReport:
    """What a job did: a report an asset, and warnings worth a person's look."""

    tables: Mapping[str, TableReport]
    warnings: tuple[str, ...] = ()


Work = Callable[[SparkSession, NightParams], JobReport]


def main(work: Work) -> None:
    """Run a job as a process; ends with the error's exit code and one line on standard error."""
    with open_dagster_pipes() as pipes:
        try:
            params = _parameters(sys.argv)
            settings = Settings()
            started = time.monotonic()
            spark = spark_session(
                f"recs {params.snapshot_id}", master=settings.spark_master, driver_memory=settings.spark_driver_memory
            )
            report = work(spark, params)
            _tell(pipes, report, seconds=time.monotonic() - started)
        except RecsError as error:
            pipes.report_custom_message({"error": str(error), "exit_code": error.exit_code})
            sys.stderr.write(f"error: {error}\n")
            sys.exit(error.exit_code)


def _parameters(argv: list[str]) -> NightParams:
    if len(argv) != 2:
        raise InputError(f"{argv[0]} takes one argument, the night's parameters as a JSON object")
    try:
        return NightParams.model_validate_json(argv[1])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the object"
        raise InputError(f"parameters: {where}: {first['msg']}") from error


def _tell(pipes: PipesContext, report: JobReport, *, seconds: float) -> None:
    for warning in report.warnings:
        pipes.log.warning(warning)
    for asset, table in report.tables.items():
        metadata = {"rows": table.rows, "quarantined": table.quarantined, "job_seconds": round(seconds, 1)}
        if table.version is not None:
            metadata["delta_version"] = table.version
        pipes.report_asset_materialization(asset_key=asset, metadata={**metadata, **table.details})
