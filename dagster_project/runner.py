"""How a Spark job is launched and listened to. `local` starts a process here; other faces are other classes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
from dagster import PipesTempFileContextInjector

from dagster_project.host import JobHost
from dagster_project.outcomes import job_log, outcome
from dagster_project.pipes import WholeMessages
from data_contracts.night import NightParams


class SparkRunner(Protocol):
    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        """Run a job to its end and return its report. Raises dagster.Failure with the job's own words."""
        ...


class LocalSparkRunner:
    """Runs `spark_jobs.jobs.<job>` with this interpreter, in the host that its jobs share; output goes to a log file
    of its own.
    """

    def __init__(self, *, logs: Path, host: JobHost) -> None:
        self._logs = logs
        self._host = host

    @classmethod
    @contextmanager
    def running(cls, *, lake: str, logs: Path, lock: int | None = None) -> Iterator["LocalSparkRunner"]:
        """One whose host starts at once, beside whatever comes before the first job, and ends with the block.

        `lock` is the descriptor of the lake's lock, which the host and its jobs inherit (see lake_lock).
        """
        host = JobHost(lake=lake, log=logs / "host.log", lock=lock)
        host.start()
        try:
            yield cls(logs=logs, host=host)
        finally:
            host.close()

    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        log = job_log(self._logs, context, job)
        context.log.info(f"job {job} writes its log to {log}")
        with dg.open_pipes_session(context, PipesTempFileContextInjector(), WholeMessages()) as session:
            variables = session.get_bootstrap_env_vars()
            code, memory = self._host.run(job, params.model_dump_json(), variables=variables, log=log)
        report = outcome(session.get_custom_messages(), job=job, code=code, log=log)
        return {**report, "peak_mb": round(memory.total_mb), "jvm_peak_mb": round(memory.jvm_mb)}
