"""The sample world's generator at a million users."""

import sys
import tempfile

from infra.bench.figure import Figure
from infra.bench.process import measure

_USERS, _DAYS = 1_000_000, 60


def run() -> list[Figure]:
    """1M users × 60 days, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "infra.cli", "world", "--users", str(_USERS), "--days", str(_DAYS)]
        measured = measure([*command, "--seed", "7", "--out", f"{folder}/world"])
    return [
        Figure("1M users × 60 days", round(measured.seconds), "s", goal=900),
        Figure("peak memory", round(measured.peak_mb / 1000, 2), "GB", goal=8),
    ]
