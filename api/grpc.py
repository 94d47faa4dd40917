"""`python -m api.grpc`: the same answers over gRPC (port RECS_GRPC_PORT), with health and reflection.

A process of its own beside the API, with the same core, the same limits and the same outboxes on disk; its metrics are
at http://…:RECS_GRPC_METRICS_PORT/metrics. TLS as for `python -m api`; health without it at RECS_GRPC_PROBE_PORT.
"""

if __name__ == "__main__":
    import api.lean  # noqa: F401

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import grpc
import uvloop
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from api.app import now
from api.clickhouse_store import ClickHouseStore
from api.grpc_edge import Answering, Call, GrpcEdge
from api.grpc_messages import asked_of, feedback_of, response_of
from api.grpc_names import NAME, NAMES
from api.limits import Limits
from api.logs import write_logs
from api.metrics import REGISTRY
from api.refusals import InvalidError
from api.room import Room
from api.security import Guard, Scope
from api.service import Service, question_of, running_service
from api.settled import settle
from api.store import Store
from api.tls import TlsFiles
from api.traces import Traces
from data_contracts import recommendation_pb2 as pb
from data_contracts.settings import Settings
from sql.client import Address

_LOG = logging.getLogger("recs.api")

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_STOP_SECONDS = 5.0
_LARGEST_METADATA = 32_768
# Calls that grpc holds until we take them, one a turn of the loop: more would wait for seconds before our limit sees
# them. Beyond that grpc itself ends some, beyond twice as many all, as CANCELLED.
_MOST_PENDING = 100
_GARBLED = object()


class Servicer:
    """Admits, translates, asks the core."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def recommend(self, request: pb.RecommendRequest, call: Call) -> pb.RecommendResponse:
        caller = await call.admit(Scope.RECOMMENDATIONS_READ, user_id=_message(request).user_id)
        asked = asked_of(request)
        caller.refuse_other_channel(asked.channel)
        answer = await self._service.answer(question_of(asked.user_id, asked), locale=asked.locale)
        return response_of(answer)

    async def send_feedback(self, request: pb.FeedbackRequest, call: Call) -> pb.Ack:
        caller = await call.admit(Scope.FEEDBACK_WRITE, user_id=_message(request).user_id)
        if len(request.idempotency_key) > 128:
            raise InvalidError("idempotency_key: longer than 128 characters", field="idempotency_key")
        key = request.idempotency_key
        taken = await self._service.take_feedback(feedback_of(request), caller=caller, idempotency_key=key)
        return pb.Ack(status="accepted", id=taken.event_id, is_expired=taken.is_expired)


def _message(request: Any) -> Any:
    """What bytes are no message is our refusal too: left to grpc, it would be an unknown error."""
    if request is _GARBLED:
        raise InvalidError("the bytes are no message of this call")
    return request


def _methods(servicer: Servicer, edge: GrpcEdge) -> Sequence[Any]:
    def method(name: str, message: Any, answering: Answering) -> Any:
        def read(raw: bytes) -> Any:
            try:
                return message.FromString(raw)
            except DecodeError:
                return _GARBLED

        return grpc.unary_unary_rpc_method_handler(
            edge.around(name, answering),
            request_deserializer=read,
            response_serializer=lambda answer: answer.SerializeToString(),
        )

    answering: dict[str, tuple[Any, Any]] = {
        "Recommend": (pb.RecommendRequest, servicer.recommend),
        "GetRecommendations": (pb.RecommendRequest, servicer.recommend),
        "SendFeedback": (pb.FeedbackRequest, servicer.send_feedback),
    }
    handlers = {name: method(name, message, call) for name, (message, call) in answering.items()}
    return [grpc.method_handlers_generic_handler(name, handlers) for name in NAMES]


@asynccontextmanager
async def running_grpc(
    settings: Settings,
    *,
    store: Store | None = None,
    clock: Callable[[], datetime] = now,
    traces: Traces | None = None,
) -> AsyncIterator[int]:
    """The port that answers, while the block lasts. Without `store`, the ClickHouse of the settings."""
    guard, kept = Guard.of(settings, clock=clock), traces or Traces.of(settings)
    await guard.start()
    async with running_service(settings, store or ClickHouseStore(Address.of(settings)), clock) as service:
        edge = GrpcEdge(service=NAME, guard=guard, limits=Limits.of(settings), room=Room.of(settings), traces=kept)
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_body_bytes),
                ("grpc.max_metadata_size", _LARGEST_METADATA),
                ("grpc.server.max_pending_requests", _MOST_PENDING),
                ("grpc.server.max_pending_requests_hard_limit", 2 * _MOST_PENDING),
            ]
        )
        server.add_generic_rpc_handlers(_methods(Servicer(service), edge))
        checks = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        reflection.enable_server_reflection((*NAMES, _HEALTH), server)
        port = _listening(server, settings)
        probes = _probes(checks, settings)
        await server.start()
        for name in ("", *NAMES):
            await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
        await probes.start()
        try:
            yield port
        finally:
            await checks.enter_graceful_shutdown()
            await server.stop(_STOP_SECONDS)
            await probes.stop(None)
            kept.close()


def _listening(server: Any, settings: Settings) -> int:
    at, files = f"{settings.api_host}:{settings.grpc_port}", TlsFiles.of(settings)
    if files is None:
        return int(server.add_insecure_port(at))
    authority = files.client_ca.read_bytes() if files.client_ca else None
    credentials = grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.certificate.read_bytes())],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )
    return int(server.add_secure_port(at, credentials))


def _probes(checks: Any, settings: Settings) -> Any:
    """A server of this process' health alone, without TLS, for who runs it and has no certificate; port 0: none."""
    server = grpc.aio.server()
    if settings.grpc_probe_port:
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        server.add_insecure_port(f"{settings.api_host}:{settings.grpc_probe_port}")
    return server


@contextmanager
def told_metrics(settings: Settings) -> Iterator[int]:
    """/metrics of this process at a port of its own, with the same TLS; 0: none."""
    if not settings.grpc_metrics_port:
        yield 0
        return
    files = TlsFiles.of(settings)
    secured: dict[str, Any] = {}
    if files is not None:
        secured = {"certfile": str(files.certificate), "keyfile": str(files.key)}
        if files.client_ca is not None:
            secured |= {"client_cafile": str(files.client_ca), "client_auth_required": True}
    try:
        server, _ = start_http_server(settings.grpc_metrics_port, settings.api_host, REGISTRY, **secured)
    except OSError as error:  # no reason not to answer
        _LOG.error("no metrics at port %s: %s", settings.grpc_metrics_port, error)
        yield 0
        return
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


async def serve(settings: Settings) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with running_grpc(settings) as port:
        with told_metrics(settings):
            settle()
            _LOG.info("gRPC answers at port %s", port)
            await told.wait()


def main() -> None:
    settings = Settings()
    write_logs(settings.log_format, key=settings.signing_key)
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
