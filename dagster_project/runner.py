"""How a Spark job is launched and listened to. `local` starts a process here; other faces are other classes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
from dagster import PipesTempFileContextInjector

from dagster_project.failures import failure
from dagster_project.host import JobHost
from dagster_project.pipes import WholeMessages
from dagster_project.processes import Memory
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
        log = self._log(context, job)
        context.log.info(f"job {job} writes its log to {log}")
        if self._host is None:
            self._host = JobHost(lake=params.lake, log=log.with_name("host.log"), lock=self._lock)
        with dg.open_pipes_session(context, PipesTempFileContextInjector(), WholeMessages()) as session:
            variables = session.get_bootstrap_env_vars()
            code, memory = self._host.run(job, params.model_dump_json(), variables=variables, log=log)
        return _outcome(session.get_custom_messages(), job=job, code=code, log=log, memory=memory)

    def _log(self, context: dg.AssetExecutionContext, job: str) -> Path:
        attempt = f".retry{context.retry_number}" if context.retry_number else ""
        log = (self._logs / context.run.run_id / f"{job}{attempt}.log").absolute()
        log.parent.mkdir(parents=True, exist_ok=True)
        return log


def _outcome(messages: Any, *, job: str, code: int, log: Path, memory: Memory) -> Mapping[str, Any]:
    for message in messages:
        if "error" in message:
            raise failure(str(message["error"]), exit_code=int(message["exit_code"]), log=log)
    reports = [message["report"] for message in messages if "report" in message]
    if code != 0 or not reports:
        raise failure(f"job {job} ended with code {code}: {_last_line(log)}", exit_code=code or 1, log=log)
    return {**reports[-1], "log": str(log), "peak_mb": round(memory.total_mb), "jvm_peak_mb": round(memory.jvm_mb)}


def _last_line(log: Path) -> str:
    """The line of a traceback that says what went wrong: the last one that is not indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line for line in text.splitlines() if line and not line[0].isspace()]
    return lines[-1][:500] if lines else "it printed nothing"
