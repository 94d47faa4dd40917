"""`make demo` after set-up: its time and the memory of all its processes."""

import os
import re
import sys
import tempfile

from data_contracts.errors import RecsError
from infra.bench.figure import Figure
from infra.bench.process import measure


def run() -> list[Figure]:
    """The demo in a folder of its own, so that nothing earlier helps it."""
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(
            [sys.executable, "-m", "infra.cli", "demo", "--data-dir", folder], env={**os.environ, "COLUMNS": "120"}
        )
    first_night = re.search(r"6\. A night.* (\d+) s", measured.output)
    if first_night is None:
        raise RecsError(f"the demo did not reach its second night: {measured.output[-500:]}")
    return [
        Figure("make demo after set-up, until the second night", float(first_night[1]), "s", goal=300),
        Figure(
            "make demo after set-up, the night that the gate stops included", round(measured.seconds, 1), "s", goal=420
        ),
        Figure("peak memory of all processes", round(measured.peak_mb / 1000, 2), "GB", goal=6),
    ]
