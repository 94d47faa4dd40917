"""What surrounds every request, whichever route it is for: its trace, its time, its size, and whether there is room.

A plain ASGI wrapper, since it sees each request twice and must cost little.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException

from api import metrics
from api.logs import TRACE
from api.room import Room
from api.traces import Traces, given_traceparent, named, trace_of
from data_contracts.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_MOST_HEADERS = 100
_LARGEST_HEADERS = 32_768
# Answered always, so that a service at its limit is seen to be alive and can be measured.
_ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})


BUSY = "busy: ask again"


class Edge:
    def __init__(self, app: Application, *, settings: Settings, traces: Traces) -> None:
        self._app = app
        self._traces = traces
        self._largest_body = settings.max_body_bytes
        self._body_seconds = settings.body_seconds
        self._room = Room.of(settings)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        traceparent = _traceparent(scope["headers"])
        method = scope["method"]
        with self._traces.request(method, traceparent) as span:
            trace = trace_of(span, traceparent)
            TRACE.set(trace)
            status = [0]
            try:
                await self._admitted(scope, receive, _telling(scope, send, status, trace))
            finally:
                route = getattr(scope.get("route"), "path", None)
                metrics.answered(route, method, status[0] or 500, time.perf_counter() - started)
                named(span, method=method, route=route or metrics.NO_ROUTE, status=status[0] or 500)

    async def _admitted(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        if len(headers) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > _LARGEST_HEADERS:
            metrics.REFUSALS.labels("headers").inc()
            await _refuse(scope, send, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers")
            return
        place = self._room.enter(always=scope["path"] in _ALWAYS)
        if place is None:
            await _refuse(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, BUSY, retry=True)
            return
        try:
            await self._app(scope, self._bounded(receive), send)
        finally:
            self._room.leave(place)

    def _bounded(self, receive: Receive) -> Receive:
        """The body, as long as it is small and comes soon; else 413 or 408, raised where the route reads it."""
        size = [0]
        deadline: list[float] = []

        async def bounded() -> Message:
            if not deadline:
                deadline.append(asyncio.get_running_loop().time() + self._body_seconds)
            if size[0] < 0:  # the body is whole: what comes now is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout_at(deadline[0]):
                    message = await receive()
            except TimeoutError:
                metrics.REFUSALS.labels("slow body").inc()
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from None
            size[0] += len(message.get("body", b""))
            if size[0] > self._largest_body:
                metrics.REFUSALS.labels("large body").inc()
                detail = f"the body is larger than {self._largest_body} bytes"
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            if not message.get("more_body"):
                size[0] = -1
            return message

        return bounded


def _telling(scope: Message, send: Send, status: list[int], trace: str) -> Send:
    """Notes the status, and adds the trace and what the route's dependencies told to the headers."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            status[0] = message["status"]
            told = scope.get("told", {})
            message["headers"] = [
                *message["headers"],
                (b"x-trace-id", trace.encode()),
                *((name.lower().encode(), value.encode()) for name, value in told.items()),
            ]
        await send(message)

    return sending


def _traceparent(headers: list[tuple[bytes, bytes]]) -> str:
    return next((given_traceparent(value.decode("latin-1")) for name, value in headers if name == b"traceparent"), "")


async def _refuse(scope: Message, send: Send, status: HTTPStatus, detail: str, *, retry: bool = False) -> None:
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "instance": scope["path"],
        "errors": [],
    }
    body = orjson.dumps(problem)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if retry:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})
