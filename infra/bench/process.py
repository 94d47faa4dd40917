"""Times a command with all the processes it starts, and the most memory that they held together."""

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from dagster_project.processes import sizes_mb, tree
from data_contracts.errors import RecsError

# A look costs the processes that are looked at as well: their page tables are walked.
_SAMPLE_SECONDS = 2.0


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mb: float
    output: str
    worker_mb: float = 0.0


def measure(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Measured:
    """Run to the end. Memory is proportional set size (shared pages counted once), summed over the process tree.

    worker_mb: the most that one Python worker of Spark held. Raises RecsError with the end of the output when the
    command fails.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = worker = 0.0
    ended = threading.Event()

    def sample() -> None:
        nonlocal peak, worker
        while not ended.wait(_SAMPLE_SECONDS):
            sizes = {member: sum(sizes_mb([member]).values()) for member in tree(process.pid)}
            peak = max(peak, sum(sizes.values()))
            worker = max([worker, *(size for member, size in sizes.items() if _is_worker(member))])

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    output, _ = process.communicate()
    ended.set()
    sampler.join()
    if process.returncode != 0:
        raise RecsError(f"{' '.join(command)} ended with code {process.returncode}: {output[-2000:]}")
    return Measured(time.monotonic() - started, peak, output, worker)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "pyspark.daemon" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
