"""How a Spark job is launched and listened to. `local` starts a process here; other faces are other classes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
from dagster import PipesTempFileContextInjector, PipesTempFileMessageReader

from data_contracts.errors import RecsError
from data_contracts.night import NightParams

_TERMINATION_SECONDS = 20


class SparkRunner(Protocol):
    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        """Run a job to its end and return its report. Raises dagster.Failure with the job's own words."""
        ...


class LocalSparkRunner:
    """Runs `python -m spark_jobs.jobs.<job>` with this interpreter; output goes to a log file of its own.

    `lock` is the descriptor of the lake's lock, which the job inherits (see lake_lock).
    """

    def __init__(self, *, logs: Path, lock: int | None = None) -> None:
        self._logs = logs
        self._lock = lock

    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        log = self._logs / context.run.run_id / f"{job}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"spark_jobs.jobs.{job}", params.model_dump_json()]
        with (
            dg.open_pipes_session(context, PipesTempFileContextInjector(), PipesTempFileMessageReader()) as session,
            log.open("wb") as output,
        ):
            process = subprocess.Popen(
                command,
                env={**os.environ, **session.get_bootstrap_env_vars()},
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=() if self._lock is None else (self._lock,),
            )
            try:
                code = process.wait()
            finally:
                _stop(process)
        return _outcome(session.get_custom_messages(), job=job, code=code, log=log)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a job that outlived its run, as when the run was cancelled."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=_TERMINATION_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _outcome(messages: Any, *, job: str, code: int, log: Path) -> Mapping[str, Any]:
    for message in messages:
        if "error" in message:
            raise failure(str(message["error"]), exit_code=int(message["exit_code"]), log=log)
    reports = [message["report"] for message in messages if "report" in message]
    if code != 0 or not reports:
        raise failure(f"job {job} ended with code {code}: {_last_line(log)}", exit_code=1, log=log)
    return {**reports[-1], "log": str(log)}


def failure(text: str, *, exit_code: int, log: Path | None = None) -> dg.Failure:
    metadata: dict[str, dg.MetadataValue] = {"exit_code": dg.MetadataValue.int(exit_code)}
    if log is not None:
        metadata["log"] = dg.MetadataValue.path(str(log))
    return dg.Failure(text, metadata=metadata, allow_retries=False)


def failure_of(error: RecsError) -> dg.Failure:
    return failure(str(error), exit_code=error.exit_code)


def _last_line(log: Path) -> str:
    """The line of a traceback that says what went wrong: the last one that is not indented."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line and not line[0].isspace()]
    return lines[-1][:500] if lines else "it printed nothing"
