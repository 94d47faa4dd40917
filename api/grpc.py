"""`python -m api.grpc`: the same answers over gRPC (port RECS_GRPC_PORT), with health and reflection.

A process of its own beside the API, with the same core and the same outboxes on disk.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from api.app import now
from api.clickhouse_store import ClickHouseStore
from api.grpc_messages import asked_of, feedback_of, response_of
from api.refusals import InvalidError, RefusalError
from api.security import Guard, Refused, Scope
from api.service import Service, question_of, running_service
from api.store import Store
from data_contracts import recommendation_pb2 as pb
from data_contracts.settings import Settings
from sql.client import Address

_LOG = logging.getLogger("recs.api")

NAME = pb.DESCRIPTOR.services_by_name["RecommendationService"].full_name
_STOP_SECONDS = 5.0
_GARBLED = object()
_CODES = {
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}


class Servicer:
    """Admits, translates, asks the core; refusals become status codes."""

    def __init__(self, service: Service, guard: Guard) -> None:
        self._service = service
        self._guard = guard

    async def recommend(self, request: pb.RecommendRequest, context: Any) -> Any:
        return await _told(request, context, self._recommend)

    async def send_feedback(self, request: pb.FeedbackRequest, context: Any) -> Any:
        return await _told(request, context, self._feedback)

    async def _recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
        caller = await self._guard.admit(_authorization(context), Scope.RECOMMENDATIONS_READ)
        asked = asked_of(request)
        caller.refuse_other_channel(asked.channel)
        answer = await self._service.answer(question_of(asked.user_id, asked), locale=asked.locale)
        return response_of(answer)

    async def _feedback(self, request: pb.FeedbackRequest, context: Any) -> pb.Ack:
        await self._guard.admit(_authorization(context), Scope.FEEDBACK_WRITE)
        if len(request.idempotency_key) > 128:
            raise InvalidError("idempotency_key: longer than 128 characters", field="idempotency_key")
        taken = await self._service.take_feedback(feedback_of(request), idempotency_key=request.idempotency_key)
        return pb.Ack(status="accepted", id=taken.event_id, is_expired=taken.is_expired)


def _methods(servicer: Servicer) -> Any:
    """What bytes are no message is our refusal too: left to grpc, it would be an unknown error."""

    def method(message: Any, call: Callable[..., Awaitable[Any]]) -> Any:
        def read(raw: bytes) -> Any:
            try:
                return message.FromString(raw)
            except DecodeError:
                return _GARBLED

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=read, response_serializer=lambda answer: answer.SerializeToString()
        )

    recommend = method(pb.RecommendRequest, servicer.recommend)
    methods = {
        "Recommend": recommend,
        "GetRecommendations": recommend,
        "SendFeedback": method(pb.FeedbackRequest, servicer.send_feedback),
    }
    return grpc.method_handlers_generic_handler(NAME, methods)


async def _told(request: Any, context: Any, call: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    try:
        if request is _GARBLED:
            raise InvalidError("the bytes are no message of this call")
        return await call(request, context)
    except RefusalError as error:
        wait = error.retry_after_seconds
        when = () if wait is None else (("retry-after", str(wait)),)
        await context.abort(_CODES[error.status], str(error), when)
    except Refused as refused:
        code = _CODES.get(refused.status, grpc.StatusCode.UNAVAILABLE)
        metadata = tuple((name.lower(), value) for name, value in refused.headers.items())
        await context.abort(code, refused.detail, metadata)
    except grpc.aio.AbortError:
        raise
    except Exception:
        _LOG.exception("unforeseen error")
        await context.abort(grpc.StatusCode.INTERNAL, "an error nobody foresaw; it has been logged")


def _authorization(context: Any) -> list[str]:
    return [str(value) for name, value in context.invocation_metadata() or () if name == "authorization"]


@asynccontextmanager
async def running_grpc(
    settings: Settings, *, store: Store | None = None, clock: Callable[[], datetime] = now
) -> AsyncIterator[int]:
    """The port that answers, while the block lasts. Without `store`, the ClickHouse of the settings."""
    guard = Guard.of(settings, clock=clock)
    await guard.start()
    async with running_service(settings, store or ClickHouseStore(Address.of(settings)), clock) as service:
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", settings.max_body_bytes)])
        server.add_generic_rpc_handlers((_methods(Servicer(service, guard)),))
        checks = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        reflection.enable_server_reflection((NAME, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name), server)
        port = server.add_insecure_port(f"{settings.api_host}:{settings.grpc_port}")
        await server.start()
        for name in ("", NAME):
            await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
        try:
            yield int(port)
        finally:
            await checks.enter_graceful_shutdown()
            await server.stop(_STOP_SECONDS)


async def serve(settings: Settings) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with running_grpc(settings) as port:
        _LOG.info("gRPC answers at port %s", port)
        await told.wait()


if __name__ == "__main__":
    asyncio.run(serve(Settings()))
