"""What surrounds every gRPC call, as `edge` does for HTTP: its trace, its time, whether there is room, who asks and how
often; refusals become status codes, with what REST tells in headers as trailing metadata.
"""

import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import grpc

from api import metrics
from api.edge import BUSY
from api.limits import Limits
from api.logs import TRACE
from api.refusals import BusyLaterError, RefusalError
from api.room import Room
from api.security import Guard, Principal, Refused, Scope
from api.traces import Traces, given_traceparent, named_call, trace_of
from data_contracts.errors import InputError, UnavailableError

_LOG = logging.getLogger("recs.api")

_CODES = {
    HTTPStatus.OK: grpc.StatusCode.OK,
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: grpc.StatusCode.CANCELLED,
    HTTPStatus.GONE: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.MISDIRECTED_REQUEST: grpc.StatusCode.UNIMPLEMENTED,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
}


class Call:
    """One call on its way: who asks, and what is told beside the answer."""

    def __init__(self, context: Any, guard: Guard, limits: Limits) -> None:
        self._context = context
        self._guard = guard
        self._limits = limits
        self.metadata = [(str(name), value) for name, value in context.invocation_metadata() or ()]
        self.told: dict[str, str] = {}

    async def admit(self, scope: Scope, *, channel: str | None = None, user_id: int | None = None) -> Principal:
        """Raises Refused, as for REST."""
        caller = await self._guard.admit(
            self.given("authorization"), scope, channel=channel, certificate=_client_certificate(self._context)
        )
        self.told |= self._limits.take(caller.client, None if user_id is None else str(user_id))
        return caller

    def given(self, name: str) -> list[str]:
        return [str(value) for key, value in self.metadata if key == name]


@dataclass(frozen=True)
class _Ending:
    """`status` is HTTP's, so that metrics and objectives are the same for both ways."""

    status: HTTPStatus
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: Exception) -> "_Ending":
        if isinstance(error, Refused):
            return cls(error.status, error.detail, error.headers)
        if isinstance(error, RefusalError):
            wait = error.retry_after_seconds
            return cls(error.status, str(error), {} if wait is None else {"Retry-After": str(wait)})
        if isinstance(error, InputError):
            return cls(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        if isinstance(error, UnavailableError):
            return cls(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        _LOG.error("unforeseen error", exc_info=error)
        return cls(HTTPStatus.INTERNAL_SERVER_ERROR, "an error nobody foresaw; it has been logged")


_NO_ROOM = _Ending.of(BusyLaterError(BUSY, retry_after_seconds=1))
Answering = Callable[[Any, Call], Awaitable[Any]]


class GrpcEdge:
    def __init__(self, *, service: str, guard: Guard, limits: Limits, room: Room, traces: Traces) -> None:
        self._service = service
        self._guard = guard
        self._limits = limits
        self._room = room
        self._traces = traces

    def around(self, method: str, answering: Answering) -> Callable[[Any, Any], Awaitable[Any]]:
        """What grpc calls with a request and its context."""

        async def surrounded(request: Any, context: Any) -> Any:
            started = time.perf_counter()
            call = Call(context, self._guard, self._limits)
            traceparent = next(map(given_traceparent, call.given("traceparent")), "")
            with self._traces.request("gRPC", traceparent) as span:
                call.told["x-trace-id"] = trace_of(span, traceparent)
                TRACE.set(call.told["x-trace-id"])
                ending = _Ending(HTTPStatus.REQUEST_TIMEOUT)  # unless the caller gives up
                try:
                    answer, ending = await self._ended(request, call, answering)
                finally:
                    # Who is turned away for want of room came to no route, as over REST: it is told among refusals.
                    route = None if ending is _NO_ROOM else f"/{self._service}/{method}"
                    metrics.answered(route, metrics.GRPC, ending.status, time.perf_counter() - started)
                    code = _CODES[ending.status].value[0]
                    named_call(span, service=self._service, method=method, code=code)
            metadata = tuple((name.lower(), value) for name, value in {**call.told, **ending.headers}.items())
            if ending.status is not HTTPStatus.OK:
                await context.abort(_CODES[ending.status], ending.detail, metadata)
            context.set_trailing_metadata(metadata)
            return answer

        return surrounded

    async def _ended(self, request: Any, call: Call, answering: Answering) -> tuple[Any, _Ending]:
        place = self._room.enter()
        if place is None:
            return None, _NO_ROOM
        try:
            return await answering(request, call), _Ending(HTTPStatus.OK)
        except Exception as error:
            return None, _Ending.of(error)
        finally:
            self._room.leave(place)


def _client_certificate(context: Any) -> bytes | None:
    """The client's certificate, DER, where TLS shows one."""
    shown = context.auth_context().get("x509_pem_cert")
    return ssl.PEM_cert_to_DER_cert(shown[0].decode()) if shown else None
