"""A job's processes as one: Python driver, JVM and Python workers share a session, are measured and ended together."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

# Reading the sizes of a night's processes twice a second took a sixth of a core.
_SAMPLE_SECONDS = 2.0
_TERMINATION_SECONDS = 20.0


@dataclass
class Memory:
    """Peaks in MB of proportional set size (shared pages counted once); `jvm_mb` is the JVM's own peak."""

    total_mb: float = 0.0
    jvm_mb: float = 0.0

    def add(self, sizes: dict[str, float]) -> None:
        self.total_mb = max(self.total_mb, sum(sizes.values()))
        self.jvm_mb = max(self.jvm_mb, sizes.get("java", 0.0))


def session_members(leader: int) -> list[psutil.Process]:
    """Every living process of the session that `leader` began, whatever group it moved to and whoever adopted it."""
    return [process for process in psutil.process_iter() if _session(process.pid) == leader and is_alive(process)]


@contextmanager
def measured(*leaders: int) -> Iterator[Memory]:
    """Sample the memory of some sessions together for the length of the block."""
    memory, ended = Memory(), threading.Event()

    def sample() -> None:
        while not ended.is_set():
            memory.add(sizes_mb([member for leader in leaders for member in session_members(leader)]))
            ended.wait(_SAMPLE_SECONDS)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield memory
    finally:
        ended.set()
        sampler.join()


def end_session(leader: int, *, patience_seconds: float = _TERMINATION_SECONDS) -> None:
    """Ask every process of the session to end, and kill those that do not within `patience_seconds`.

    Python workers of Spark sit in process groups of their own, so a signal to the leader's group misses them.
    """
    _signal(session_members(leader), signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while members := session_members(leader):
        if time.monotonic() > deadline:
            _signal(members, signal.SIGKILL)
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs: one that has ended, or that only waits to be reaped, does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def program(process: psutil.Process) -> str:
    """Its program's name, such as `java`; "" once it has ended."""
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants; nobody where it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def sizes_mb(processes: list[psutil.Process]) -> dict[str, float]:
    """Proportional set size by program name, such as `java`; who ended meanwhile counts nothing."""
    sizes: dict[str, float] = {}
    for process in processes:
        try:
            name = process.name()
            sizes[name] = sizes.get(name, 0.0) + process.memory_full_info().pss / 1e6
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return sizes


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
