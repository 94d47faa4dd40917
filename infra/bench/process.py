"""Times a command with all the processes it starts, and the most memory that they held together."""

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster_project.processes import tree_mb
from data_contracts.errors import RecsError

_SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mb: float
    output: str


def measure(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Measured:
    """Run to the end. Memory is proportional set size (shared pages counted once), summed over the process tree.

    Raises RecsError with the end of the output when the command fails.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = 0.0
    ended = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not ended.wait(_SAMPLE_SECONDS):
            peak = max(peak, tree_mb(process.pid))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    output, _ = process.communicate()
    ended.set()
    sampler.join()
    if process.returncode != 0:
        raise RecsError(f"{' '.join(command)} ended with code {process.returncode}: {output[-2000:]}")
    return Measured(time.monotonic() - started, peak, output)
