"""A load generator's HTTP client: keep-alive connections, whole requests as bytes, and as little work as can be.

It shares the machine with what it measures, so what it does costs the measured service.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_LENGTH = b"\r\ncontent-length: "


@dataclass(frozen=True)
class Response:
    """`status` 0: the connection broke."""

    status: int
    body: bytes


_BROKEN = Response(0, b"")


class _Connection(asyncio.Protocol):
    """One request at a time. Answers must tell their length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._finish(_BROKEN)

    def ask(self, request: bytes) -> "asyncio.Future[Response]":
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            self._finish(_BROKEN)
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        _, _, told = head.lower().partition(_LENGTH)
        if len(body) >= int(told.partition(b"\r\n")[0]):
            self._buffer = b""
            self._finish(Response(int(head[9:12]), body))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _finish(self, response: Response) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response)


class HttpPool:
    """Up to `most` connections; a request beyond them waits for one, in turn."""

    def __init__(self, url: str, *, most: int) -> None:
        at = urlsplit(url)
        self._host, self._port = at.hostname or "", at.port or 80
        self._room = asyncio.Semaphore(most)
        self._idle: deque[_Connection] = deque()

    async def ask(self, request: bytes) -> Response:
        async with self._room:
            try:
                connection = await self._connection()
            except OSError:
                return _BROKEN
            response = await connection.ask(request)
            if connection.is_open:
                self._idle.append(connection)
            return response

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(_Connection, self._host, self._port)
        return made

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


@asynccontextmanager
async def http_pool(url: str, *, most: int) -> AsyncIterator[HttpPool]:
    pool = HttpPool(url, most=most)
    try:
        yield pool
    finally:
        pool.close()


def get(path: str, headers: Mapping[str, str]) -> bytes:
    return _request("GET", path, headers, b"")


def post(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    told = {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}
    return _request("POST", path, told, body)


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
