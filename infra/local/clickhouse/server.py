"""The sockets of the embedded ClickHouse: a raw ASGI application on uvicorn, one worker thread a running query."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn

from data_contracts.errors import UnavailableError
from infra.local.clickhouse import protocol
from infra.local.clickhouse.engine import Engine, EngineError
from infra.local.clickhouse.protocol import Request, Response

_HOST = "127.0.0.1"
_GRACE_SECONDS = 2
_OK = Response(status=200, headers={"Content-Type": "text/plain; charset=UTF-8"}, body=b"Ok.\n")
_NOT_FOUND = Response(status=404, headers={}, body=b"There is no such path; queries go to /\n")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def serve(*, path: Path, port: int) -> None:
    """Serve a data folder until SIGINT or SIGTERM. Port 0 means any free one; the URL is written to standard output.

    Requests under way get a moment to end, then their queries are killed. Raises BusyError when the folder is in
    use, UnavailableError when the port is.
    """
    listener = _listening(port)
    engine = Engine(path)
    # More threads than cores: a load that takes seconds must not keep look-ups waiting.
    threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="query")
    config = uvicorn.Config(
        application(engine, threads),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
    )
    server = _Server(config, engine)
    # Raised in the middle of start-up, or again by uvicorn once it has shut down, a signal must not end us before the
    # engine is closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    try:
        sys.stdout.write(f"http://{_HOST}:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        server.run(sockets=[listener])
    finally:
        threads.shutdown()
        engine.close()


class _Server(uvicorn.Server):
    """Waits for the requests under way when told to stop, but not longer than it takes to kill their queries."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        killer = threading.Timer(_GRACE_SECONDS, self._engine.kill_queries)
        killer.start()
        await super().shutdown(sockets)
        killer.cancel()
        killer.join()


def application(engine: Engine, threads: ThreadPoolExecutor) -> Callable[..., Awaitable[None]]:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = Request(
            method=scope["method"],
            query_string=scope["query_string"].decode(),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=await _whole_body(receive),
        )
        if scope["path"] == "/ping" or (scope["path"] == "/" and not request.query_string and not request.body):
            response = _OK
        elif scope["path"] != "/":
            response = _NOT_FOUND
        else:
            response = await asyncio.get_running_loop().run_in_executor(threads, _respond, engine, request)
        await _send(send, response, query_id=protocol.query_id(request))

    return app


def _respond(engine: Engine, request: Request) -> Response:
    try:
        query = protocol.parsed(request)
        return protocol.answered(query, engine.run(query))
    except EngineError as error:
        return protocol.failed(error)


async def _whole_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, response: Response, *, query_id: str) -> None:
    headers = {**response.headers, "X-ClickHouse-Query-Id": query_id, "Content-Length": str(len(response.body))}
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": response.body})


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError as error:
        raise UnavailableError(f"port {port} of {_HOST} is taken: choose another, or 0 for any free one") from error
    listener.listen(128)
    return listener
