"""`make demo` after set-up: its time and the memory of all its processes."""

import os
import sys
import tempfile

from infra.bench.figure import Figure
from infra.bench.process import measure


def run() -> list[Figure]:
    """The demo in a folder of its own, so that nothing earlier helps it."""
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(
            [sys.executable, "-m", "infra.cli", "demo", "--data-dir", folder], env={**os.environ, "COLUMNS": "120"}
        )
    return [
        Figure("make demo after set-up", round(measured.seconds, 1), "s", goal=300),
        Figure("peak memory of all processes", round(measured.peak_mb / 1000, 2), "GB", goal=6),
    ]
