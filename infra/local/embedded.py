"""Runs servers as processes of their own for the length of a block, at ports that are free."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contracts.errors import BusyError, UnavailableError


@contextmanager
def running_server(module: str, folder: Path, *, port: int = 0) -> Iterator[str]:
    """Where it answers, as its first line of output says. Raises BusyError or UnavailableError as the server does.

    The server ends with this process, even with one that is killed.
    """
    command = [sys.executable, "-m", module, "--path", str(folder), "--port", str(port), "--while-stdin-open"]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        # The one line that it ever writes to its standard output; none means that it ended.
        address = server.stdout.readline().strip() if server.stdout else ""
        if not address:
            log.seek(0)
            kind = BusyError if server.wait() == BusyError.exit_code else UnavailableError
            raise kind(log.read().strip().removeprefix("error: "))
        try:
            yield address
        finally:
            server.terminate()


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
