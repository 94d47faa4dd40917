"""Runs the embedded broker for the length of a block."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contracts.errors import BusyError, UnavailableError


@contextmanager
def running_kafka(folder: Path, *, port: int = 0) -> Iterator[str]:
    """The address to bootstrap from, such as 127.0.0.1:40123. Raises BusyError or UnavailableError as the broker does.

    The broker ends with this process, even with one that is killed.
    """
    command = [sys.executable, "-m", "infra.local.kafka", "--path", str(folder), "--port", str(port)]
    command.append("--while-stdin-open")
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        address = server.stdout.readline().strip() if server.stdout else ""
        if not address:
            log.seek(0)
            kind = BusyError if server.wait() == BusyError.exit_code else UnavailableError
            raise kind(log.read().strip().removeprefix("error: "))
        try:
            yield address
        finally:
            server.terminate()
