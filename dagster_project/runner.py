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
    """Runs `spark_jobs.jobs.<job>` with this interpreter, in a host that its jobs share; output goes to a log file of
    its own.

    `lock` is the descriptor of the lake's lock, which the job inherits (see lake_lock).
    """

    def __init__(self, *, logs: Path, lock: int | None = None) -> None:
        self._logs = logs
        self._lock = lock
        self._host: JobHost | None = None

    @classmethod
    @contextmanager
    def running(cls, *, logs: Path, lock: int | None = None) -> Iterator["LocalSparkRunner"]:
        """One whose host ends with the block."""
        runner = cls(logs=logs, lock=lock)
        try:
            yield runner
        finally:
            runner.close()

    def close(self) -> None:
        if self._host is not None:
            self._host.close()

    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        log = job_log(self._logs, context, job)
        context.log.info(f"job {job} writes its log to {log}")
        if self._host is None:
            self._host = JobHost(lake=params.lake, log=log.with_name("host.log"), lock=self._lock)
        with dg.open_pipes_session(context, PipesTempFileContextInjector(), WholeMessages()) as session:
            variables = session.get_bootstrap_env_vars()
            code, memory = self._host.run(job, params.model_dump_json(), variables=variables, log=log)
        report = outcome(session.get_custom_messages(), job=job, code=code, log=log)
        return {**report, "peak_mb": round(memory.total_mb), "jvm_peak_mb": round(memory.jvm_mb)}
