"""OpenTelemetry traces of requests and of the look-ups they share, to RECS_OTLP_ENDPOINT; without it they cost nothing.

A request's span continues the caller's (W3C traceparent). A look-up in ClickHouse serves several questions at once: its
span is linked to the requests of all of them and the child of none, but of the one that it serves alone; each request's
own says how long it waited. ClickHouse is told of the look-up's in its turn. What a request sends to Kafka carries its
traceparent as a header, and what stores it continues the trace.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from data_contracts.settings import Settings
from sql.client import TRACEPARENT

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MOST_LINKS = 128
_PROPAGATOR = TraceContextTextMapPropagator()
# Of the request that is being answered; None where nothing is traced.
_TRACER: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


class Traces:
    """`provider` None: no traces, and every span is nothing."""

    def __init__(self, provider: "TracerProvider | None") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("recs.api") if provider else None

    @classmethod
    def of(cls, settings: Settings) -> "Traces":
        if not settings.otlp_endpoint:
            return cls(None)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - slow, and only for tracing

        return cls.to(BatchSpanProcessor(OTLPSpanExporter(settings.otlp_endpoint)), share=settings.trace_share)

    @classmethod
    def to(cls, processor: "SpanProcessor", *, share: float) -> "Traces":
        """`share` of the traces that begin here; those that callers began follow their choice."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

        from api.sampling import kept  # noqa: PLC0415

        resource = Resource.create({"service.name": "recs-api"})
        provider = TracerProvider(resource=resource, sampler=kept(share))
        provider.add_span_processor(processor)
        return cls(provider)

    def request(self, method: str, traceparent: str) -> AbstractContextManager[Span | None]:
        """Around a request; its route is known, and `named`, at its end."""
        if self._tracer is None:
            return nullcontext()
        _TRACER.set(self._tracer)
        parent = _PROPAGATOR.extract({"traceparent": traceparent})
        return self._tracer.start_as_current_span(method, context=parent, kind=SpanKind.SERVER)

    def batch(self, name: str, traceparents: Iterable[str]) -> AbstractContextManager[Span | None]:
        """Around work for several requests: it continues the first one's trace, and links them all."""
        if self._tracer is None:
            return nullcontext()
        parents = [_PROPAGATOR.extract({"traceparent": one}) for one in dict.fromkeys(traceparents)]
        if not parents:
            return nullcontext()
        links = [Link(get_current_span(parent).get_span_context()) for parent in parents[:_MOST_LINKS]]
        return self._tracer.start_as_current_span(name, context=parents[0], kind=SpanKind.CONSUMER, links=links)

    def close(self) -> None:
        """Send what has not been sent."""
        if self._provider is not None:
            self._provider.shutdown()


def traceparent() -> str:
    """Of the request that is being answered; "" where it is not traced, or its trace not kept."""
    if _TRACER.get() is None or not get_current_span().get_span_context().trace_flags.sampled:
        return ""
    carried: dict[str, str] = {}
    _PROPAGATOR.inject(carried)
    return carried.get("traceparent", "")


def named(span: Span | None, *, method: str, route: str, status: int) -> None:
    """The end of a request's span. Neither path nor query: they hold user ids."""
    if span is not None:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)


def named_call(span: Span | None, *, service: str, method: str, code: int) -> None:
    """The end of a gRPC call's span."""
    if span is not None:
        span.update_name(f"{service}/{method}")
        span.set_attributes(
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "rpc.grpc.status_code": code}
        )


def given_traceparent(value: str) -> str:
    """The caller's (W3C); "" for a broken one."""
    return value if _TRACEPARENT.fullmatch(value) else ""


def trace_of(span: Span | None, traceparent: str) -> str:
    """The trace's id, 32 hex digits: the span's, else the caller's, else a new one."""
    if span is not None:
        return f"{span.get_span_context().trace_id:032x}"
    return traceparent[3:35] or os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class Asker:
    """A request whose trace is kept, for a span of work that it shares with others."""

    tracer: Tracer
    span: SpanContext


def asker() -> Asker | None:
    """The request that is being answered; None where it is not traced, or its trace not kept."""
    tracer = _TRACER.get()
    if tracer is None:
        return None
    span = get_current_span().get_span_context()
    return Asker(tracer, span) if span.trace_flags.sampled else None


def waited(seconds: float) -> None:
    """How long the request that is being answered waited for its look-up, its time in the queue included."""
    if _TRACER.get() is not None:
        get_current_span().set_attribute("recs.look_up.wait_seconds", seconds)


def database(name: str, **attributes: Any) -> AbstractContextManager[None]:
    """Around work of ClickHouse for the request that is being answered."""
    tracer = _TRACER.get()
    return nullcontext() if tracer is None else _database(tracer, name, attributes)


def shared_database(name: str, askers: Sequence[Asker | None], **attributes: Any) -> AbstractContextManager[None]:
    """Around work of ClickHouse for several requests at once; nothing where the trace of none of them is kept."""
    traced = [one for one in askers if one is not None]
    if not traced:
        return nullcontext()
    if len(askers) == 1:
        alone = set_span_in_context(NonRecordingSpan(traced[0].span), Context())
        return _database(traced[0].tracer, name, attributes, parent=alone)
    links = [Link(one.span) for one in traced[:_MOST_LINKS]]
    return _database(traced[0].tracer, name, attributes, parent=Context(), links=links)


@contextmanager
def _database(
    tracer: Tracer,
    name: str,
    attributes: dict[str, Any],
    *,
    parent: Context | None = None,
    links: Sequence[Link] = (),
) -> Iterator[None]:
    """`parent` None: whatever is going on."""
    told = {"db.system": "clickhouse", **attributes}
    with tracer.start_as_current_span(name, context=parent, kind=SpanKind.CLIENT, attributes=told, links=links):
        carried: dict[str, str] = {}
        _PROPAGATOR.inject(carried)
        token = TRACEPARENT.set(carried.get("traceparent", ""))
        try:
            yield
        finally:
            TRACEPARENT.reset(token)
