"""Starts services as processes of their own, to be measured."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from infra.local.embedded import free_port
from infra.stack import wait_until_ready

# The measured world keeps its date; what is measured is not how many questions a caller may ask.
_MEASURED = {"RECS_MAX_SNAPSHOT_AGE_DAYS": "36500", "RECS_CLIENT_RATE": "1000000", "RECS_USER_RATE": "100000"}


@contextmanager
def running_api(environment: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """The look-up API as it is started in production, while the block lasts."""
    port = free_port()
    told = {**_MEASURED, **environment, "RECS_API_PORT": str(port)}
    with _running(["api"], told, f"http://127.0.0.1:{port}/healthz") as process:
        yield f"http://127.0.0.1:{port}", process


@contextmanager
def running_grpc_api(environment: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """The same over gRPC: `host:port`."""
    port = free_port()
    told = {**_MEASURED, **environment, "RECS_GRPC_PORT": str(port), "RECS_GRPC_METRICS_PORT": str(free_port())}
    with _running(["api.grpc"], told, f"tcp://127.0.0.1:{port}") as process:
        yield f"127.0.0.1:{port}", process


@contextmanager
def running_app(app: str, environment: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """Any ASGI application."""
    port = free_port()
    command = ["uvicorn", app, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    with _running(command, environment, f"http://127.0.0.1:{port}/healthz") as process:
        yield f"http://127.0.0.1:{port}", process


@contextmanager
def _running(module: Sequence[str], environment: Mapping[str, str], ready: str) -> Iterator[psutil.Process]:
    told = {"RECS_LOG_FORMAT": "text", **environment}
    with subprocess.Popen([sys.executable, "-m", *module], env=told, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_ready(ready)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
