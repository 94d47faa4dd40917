"""What a job's messages and exit code come to: its report, or a failure in its own words."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project.failures import failure


def outcome(messages: Iterable[Mapping[str, Any]], *, job: str, code: int, log: Path) -> dict[str, Any]:
    """The report, with the place of the log. Raises dagster.Failure with the job's own words."""
    told = list(messages)
    for message in told:
        if "error" in message:
            raise failure(str(message["error"]), exit_code=int(message["exit_code"]), log=log)
    reports = [message["report"] for message in told if "report" in message]
    if code != 0 or not reports:
        raise failure(f"job {job} ended with code {code}: {_last_line(log)}", exit_code=code or 1, log=log)
    return {**reports[-1], "log": str(log)}


def job_log(logs: Path, context: dg.AssetExecutionContext, job: str) -> Path:
    """The file that a job's output goes to, one a try; its folder is there."""
    attempt = f".retry{context.retry_number}" if context.retry_number else ""
    log = (logs / context.run.run_id / f"{job}{attempt}.log").absolute()
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def _last_line(log: Path) -> str:
    """The line of a traceback that says what went wrong: the last one that is not indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line for line in text.splitlines() if line and not line[0].isspace()]
    return lines[-1][:500] if lines else "it printed nothing"
