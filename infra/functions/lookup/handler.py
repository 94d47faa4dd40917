"""The look-up as a Yandex Cloud Function behind API Gateway (entry point `infra.functions.lookup.handler.handler`),
the same application as REST.

An event of API Gateway (or of the function's own URL) becomes one ASGI request of `api.app`, so that tokens, limits,
policy and answers are those of REST. The application lives as long as the instance of the function does. Only what is
looked up belongs here: an instance has no disk that outlives it (RECS_DATA_DIR=/tmp/recs), so feedback is refused.
"""

import asyncio
import base64
import threading
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI

from api.app import create_app
from api.logs import write_logs
from data_contracts.settings import Settings

Event = Mapping[str, Any]


class Application:
    """Runs an ASGI application on a loop of its own, since a function's calls come from outside of any."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="lookup").start()
        self._lifespan = app.router.lifespan_context(app)
        self._run(self._lifespan.__aenter__())

    def _run(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def answer(self, event: Event) -> dict[str, Any]:
        return dict(self._run(_answered(self._app, event)))

    def close(self) -> None:
        self._run(self._lifespan.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)


@cache
def _application() -> Application:
    settings = Settings(feedback="off")
    write_logs(settings.log_format, key=settings.signing_key)
    return Application(create_app(settings))


def handler(event: Event, context: object) -> dict[str, Any]:
    """What API Gateway calls; `context` tells nothing that a look-up needs."""
    del context
    return _application().answer(event)


async def _answered(app: FastAPI, event: Event) -> dict[str, Any]:
    scope, body = scope_of(event), _body(event)
    if body is None:
        return _refused("body: not base64", HTTPStatus.BAD_REQUEST)
    told: list[Mapping[str, Any]] = []
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Mapping[str, Any]:
        return next(given, {"type": "http.disconnect"})

    async def send(message: Mapping[str, Any]) -> None:
        told.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]
    start = next(one for one in told if one["type"] == "http.response.start")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    content = b"".join(one.get("body", b"") for one in told if one["type"] == "http.response.body")
    return {"statusCode": start["status"], "headers": headers, **_encoded(content, headers)}


def scope_of(event: Event) -> dict[str, Any]:
    """An ASGI request of the event: its path as asked for, all values of each parameter, headers in lower case."""
    headers = _every_value(event, "headers", "multiValueHeaders")
    query = _every_value(event, "queryStringParameters", "multiValueQueryStringParameters")
    source = (event.get("requestContext") or {}).get("identity", {}).get("sourceIp") or "0.0.0.0"  # noqa: S104
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": event.get("httpMethod") or "GET",
        "scheme": "https",
        "path": event.get("url", "").partition("?")[0] or event.get("path") or "/",
        "raw_path": b"",
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers],
        "client": (source, 0),
        "server": ("function", 443),
        "extensions": {},
        "state": {},
    }


def _every_value(event: Event, single: str, multiple: str) -> list[tuple[str, str]]:
    many = event.get(multiple) or {}
    if many:
        return [(name, str(value)) for name, values in many.items() for value in values or [""]]
    return [(name, str(value)) for name, value in (event.get(single) or {}).items()]


def _body(event: Event) -> bytes | None:
    """None for what claims to be base64 and is not."""
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode()
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return None


def _encoded(content: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    is_text = "json" in headers.get("content-type", "") and "content-encoding" not in headers
    if is_text:
        return {"body": content.decode(), "isBase64Encoded": False}
    return {"body": base64.b64encode(content).decode(), "isBase64Encoded": True}


def _refused(detail: str, status: HTTPStatus) -> dict[str, Any]:
    problem = f'{{"title":"{status.phrase}","status":{status.value},"detail":"{detail}"}}'
    headers = {"content-type": "application/problem+json"}
    return {"statusCode": status.value, "headers": headers, "body": problem, "isBase64Encoded": False}
