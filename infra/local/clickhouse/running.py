"""Starts the embedded ClickHouse as a process of its own, and stops it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contracts.errors import BusyError, UnavailableError


@contextmanager
def running_clickhouse(path: Path, *, port: int = 0) -> Iterator[str]:
    """The server's URL, while the block lasts. Raises BusyError or UnavailableError as the server does."""
    command = [sys.executable, "-m", "infra.local.clickhouse", "--path", str(path), "--port", str(port)]
    command.append("--while-stdin-open")
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        # The URL is the one line the server ever writes to its standard output; none means that it ended.
        url = server.stdout.readline().strip() if server.stdout else ""
        if not url:
            log.seek(0)
            kind = BusyError if server.wait() == BusyError.exit_code else UnavailableError
            raise kind(log.read().strip().removeprefix("error: "))
        try:
            yield url
        finally:
            server.terminate()
