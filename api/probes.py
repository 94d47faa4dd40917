"""Whether the service lives and could answer, told in plain HTTP at a port of its own (RECS_PROBE_PORT).

Who runs the service, such as Kubernetes, asks that, and has no certificate to show where clients must. Nothing else is
told there; the answers are those of the service's own loop, so that one which hangs is seen to hang.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.responses import Response

from api.edge import Application, Message, Receive, Send
from data_contracts.settings import Settings

_TOLD = frozenset({"/healthz", "/readyz"})


class Probes:
    """Of an application no more than that."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answering = self._app if scope["type"] == "http" and scope["path"] in _TOLD else Response(status_code=404)
        await answering(scope, receive, send)


class _Beside(uvicorn.Server):
    """One that leaves signals to the service's own server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_with_probes(server: uvicorn.Server, app: Application, settings: Settings) -> None:
    """Both, until the server ends; the probes begin once it listens. Port 0: the server alone."""
    if not settings.probe_port:
        await server.serve()
        return
    config = uvicorn.Config(
        Probes(app), settings.api_host, settings.probe_port, lifespan="off", access_log=False, log_config=None
    )
    probes = _Beside(config)
    beside = asyncio.create_task(_once_started(server, probes))
    try:
        await server.serve()
    finally:
        probes.should_exit = True
        beside.cancel()


async def _once_started(server: uvicorn.Server, probes: uvicorn.Server) -> None:
    while not server.started:
        await asyncio.sleep(0.05)
    await probes.serve()
