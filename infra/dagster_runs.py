"""Runs that a killed process left behind as started: they would hold their place in the queue for ever."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

BEAT_SECONDS = 30.0
_GONE_SECONDS = 600.0
_PROCESS_TAG, _PLACE_TAG = "recs/process", "recs/place"
_UNFINISHED = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_LOG = logging.getLogger("recs.runs")


def process_tags() -> dict[str, str]:
    """Run tags that name this process: its number, its start, which tells it from a later one of the same number, and
    the place where that number means something.
    """
    process = psutil.Process()
    return {_PROCESS_TAG: f"{process.pid}:{process.create_time():.0f}", _PLACE_TAG: place()}


def place() -> str:
    """The host, since it was started, and in it the container: each counts its processes for itself."""
    boot = _BOOT.read_text(encoding="ascii").strip() if _BOOT.exists() else ""
    return f"{socket.gethostname()} {boot} {_PIDS.readlink() if _PIDS.exists() else ''}".strip()


@contextmanager
def beating(instance: DagsterInstance, run_id: str, *, seconds: float = BEAT_SECONDS) -> Iterator[None]:
    """Signs of life, while the block lasts, for those who cannot see this process: on other hosts, in other pods."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.is_set():
            try:
                instance.run_storage.set_cursor_values({_beats_of(run_id): f"{time.time():.0f}"})
            except Exception as error:  # whatever the database says: it may be back at the next
                _LOG.warning("run %s could not show that it lives: %s", run_id, error)
            ended.wait(seconds)

    thread = threading.Thread(target=beat, name="beats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def close_dead_runs(instance: DagsterInstance, *, untagged: bool, now: float | None = None) -> list[str]:
    """Report every unfinished run as failed whose process is gone; `untagged`: those of the UI's workers too, which
    end with it. A process of another place is gone when it has shown no sign of life for ten minutes. Returns their
    ids. `now`: seconds since 1970.
    """
    closed = []
    for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED)):
        process = run.tags.get(_PROCESS_TAG)
        is_dead = untagged if process is None else not _is_running(instance, run, process, now or time.time())
        if is_dead:
            instance.report_run_failed(run, "The process of this run was killed: start it again.")
            closed.append(run.run_id)
    return closed


def _is_running(instance: DagsterInstance, run: DagsterRun, process: str, now: float) -> bool:
    here = place()
    if run.tags.get(_PLACE_TAG, here) != here:
        return now - _last_beat(instance, run.run_id) < _GONE_SECONDS
    pid, _, started = process.partition(":")
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" == started
    except psutil.NoSuchProcess:
        return False


def _last_beat(instance: DagsterInstance, run_id: str) -> float:
    """Seconds since 1970; of one that died before its first, when its run was made."""
    key = _beats_of(run_id)
    told = instance.run_storage.get_cursor_values({key}).get(key)
    if told is not None:
        return float(told)
    record = instance.get_run_record_by_id(run_id)
    return record.create_timestamp.timestamp() if record else 0.0


def _beats_of(run_id: str) -> str:
    return f"recs/beat/{run_id}"
