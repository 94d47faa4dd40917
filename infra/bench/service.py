"""Starts an ASGI application as a process of its own, to be measured."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from infra.stack import wait_until_ready


@contextmanager
def running_app(app: str, environment: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """A service of its own process, warm, while the block lasts."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    # The measured world keeps its date; what is measured is not how many questions a caller may ask.
    told = {"RECS_MAX_SNAPSHOT_AGE_DAYS": "36500", "RECS_CLIENT_RATE": "1000000", **environment}
    with subprocess.Popen(command, env=told) as process:
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/healthz")
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
