"""Runs that a killed process left behind as started: they would hold their place in the queue for ever."""

import psutil
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

_PROCESS_TAG = "recs/process"
_UNFINISHED = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def process_tag() -> dict[str, str]:
    """The run tag that names this process; its start tells it from a later one of the same number."""
    process = psutil.Process()
    return {_PROCESS_TAG: f"{process.pid}:{process.create_time():.0f}"}


def close_dead_runs(instance: DagsterInstance, *, untagged: bool) -> list[str]:
    """Report every unfinished run as failed whose process is gone; `untagged`: those of the UI's workers too, which
    end with it. Returns their ids.
    """
    closed = []
    for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED)):
        process = run.tags.get(_PROCESS_TAG)
        if (process is None and untagged) or (process is not None and not _is_running(process)):
            instance.report_run_failed(run, "The process of this run was killed: start it again.")
            closed.append(run.run_id)
    return closed


def _is_running(process: str) -> bool:
    pid, _, started = process.partition(":")
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" == started
    except psutil.NoSuchProcess:
        return False
