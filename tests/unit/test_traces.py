"""Traces of work that several requests share: it is linked to all of them, and no one's."""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.app import create_app
from api.logs import TRACE, _Json
from api.overlay_writer import OverlayWriter
from api.store import Found
from api.traces import Traces
from data_contracts.errors import UnavailableError
from data_contracts.events.registry import KeptSchemas
from data_contracts.settings import Settings
from sql.client import TRACEPARENT
from tests.day_world import NOW, FakeStore

URL = "/api/v1/recommendations"


def sent_by(number: int) -> str:
    """The traceparent of a caller who keeps the trace."""
    return f"00-{number:032x}-{number:016x}-01"


class GatedStore(FakeStore):
    """Answers once it is let, and remembers what ClickHouse was told of each look-up's trace."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.carried: list[str] = []
        self.logged_under: list[str] = []

    async def look_up(self, snapshot_id: str, user_ids: Sequence[int], *, cut_off: int) -> Found:
        if list(user_ids) != [0]:  # which is the service's own, before it serves a snapshot
            self.carried.append(TRACEPARENT.get())
            self.logged_under.append(TRACE.get())
            await self.gate.wait()
        return await super().look_up(snapshot_id, user_ids, cut_off=cut_off)


def test_a_look_up_of_several_requests_is_linked_to_each_and_the_child_of_none(tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    settings = Settings(data_dir=tmp_path, auth="off", pointer_poll_seconds=3_600, lookup_deadline_ms=120_000)
    store = GatedStore()

    async def scene() -> None:
        traces = Traces.to(SimpleSpanProcessor(spans), share=0)  # but each caller's choice counts
        app = create_app(settings, store=store, clock=lambda: NOW, traces=traces)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api", timeout=120) as client,
        ):
            waiting = app.state.service.lookup._batches._waiting

            async def asked(number: int) -> None:
                headers = {"traceparent": sent_by(number)} if number else {}
                given = await client.get(URL, params={"user_id": 1 + number, "channel": "web"}, headers=headers)
                assert given.status_code == 200

            async with asyncio.timeout(120):
                alone = []
                for number in (1, 2):
                    alone.append(asyncio.create_task(asked(number)))
                    while len(store.carried) < number:
                        await asyncio.sleep(0.001)
                together = [asyncio.create_task(asked(number)) for number in (3, 4, 5, 0)]  # one is not traced
                while len(waiting) < 4:
                    await asyncio.sleep(0.001)
                store.gate.set()
                await asyncio.gather(*alone, *together)

    asyncio.run(scene())
    requests = {span.context.trace_id: span for span in named(spans, f"GET {URL}")}
    assert set(requests) == {1, 2, 3, 4, 5}
    assert all(waited_of(span) > 0 for span in requests.values())

    *single, shared = sorted(named(spans, "look-up"), key=lambda span: span.attributes["questions"])
    assert {(span.context.trace_id, span.parent.span_id) for span in single} == {
        (number, requests[number].context.span_id) for number in (1, 2)
    }
    assert shared.attributes["questions"] == 4
    assert shared.parent is None
    assert shared.context.trace_id not in requests
    assert {(link.context.trace_id, link.context.span_id) for link in shared.links} == {
        (number, requests[number].context.span_id) for number in (3, 4, 5)
    }
    assert [carried.split("-")[1] for carried in store.carried] == [
        f"{span.context.trace_id:032x}" for span in (*sorted(single, key=lambda one: one.context.trace_id), shared)
    ]
    assert store.logged_under == ["", "", ""]  # no line of a batch tells one request's trace for all


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def waited_of(span: ReadableSpan) -> float:
    seconds = (span.attributes or {})["recs.look_up.wait_seconds"]
    assert isinstance(seconds, float)
    return seconds


def test_a_look_up_that_no_kept_trace_asked_for_is_in_none(tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    store = GatedStore()
    store.gate.set()

    async def scene() -> None:
        settings = Settings(data_dir=tmp_path, auth="off", pointer_poll_seconds=3_600, lookup_deadline_ms=120_000)
        traces = Traces.to(SimpleSpanProcessor(spans), share=0)
        app = create_app(settings, store=store, clock=lambda: NOW, traces=traces)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api", timeout=120) as client,
        ):
            await asyncio.gather(*(client.get(URL, params={"user_id": n, "channel": "web"}) for n in range(1, 6)))

    asyncio.run(scene())
    assert spans.get_finished_spans() == ()
    assert set(store.carried) == {""}


class Broken:
    """A message that is no event, as confluent-kafka has it."""

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    def headers(self) -> list[tuple[str, bytes]]:
        return [("traceparent", self._traceparent.encode())] if self._traceparent else []

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return "recommendation.feedback"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 0

    def value(self) -> bytes:
        return b"nonsense"


class Given:
    """A consumer that has batches to give, and no broker."""

    def __init__(self, batches: Iterator[list[Broken]]) -> None:
        self._batches = batches
        self.is_empty = False

    def subscribe(self, topics: Sequence[str]) -> None:
        pass

    def consume(self, most: int, seconds: float) -> list[Broken]:
        batch = next(self._batches, None)
        self.is_empty = batch is None
        return batch or []

    def assignment(self) -> list[Any]:
        return []

    def get_watermark_offsets(self, place: Any, *, cached: bool) -> tuple[int, int]:
        return 0, 1

    def poll(self, seconds: float) -> None:
        pass

    def pause(self, partitions: Sequence[Any]) -> None:
        pass

    resume = pause

    def close(self) -> None:
        logging.getLogger("recs.overlay").warning("closed")


@pytest.mark.parametrize("is_traced", [True, False], ids=["traced", "not traced here"])
def test_a_line_of_the_overlay_tells_the_trace_of_its_batch(is_traced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = InMemorySpanExporter()
    batches = [[Broken(sent_by(7)), Broken(sent_by(8))], [Broken("")], [Broken("nonsense")]]
    consumer = Given(iter(batches))
    monkeypatch.setattr("api.overlay_writer._consumer", lambda settings: consumer)
    monkeypatch.setattr(OverlayWriter, "_tell_undecodable", every_one)
    writer = OverlayWriter(
        Settings(),
        KeptSchemas(),
        put=unavailable,
        beat=lambda lag: None,
        tell=lambda stored: None,
        traces=Traces.to(SimpleSpanProcessor(spans), share=0) if is_traced else Traces(None),
        is_stopped=lambda: consumer.is_empty,
    )
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(logging.getLogger("recs.overlay"), "handle", lambda record: lines.append(as_json(record)))
    writer.run()
    told = [line.get("trace_id") for line in lines]
    assert told[:2] == [f"{7:032x}"] * 2
    assert len({*told[1:4]}) == 3  # a batch that nobody traced has a trace of its own, too
    assert all(len(one) == 32 for one in told[:4])
    assert told[4] is None
    assert [span.context.trace_id for span in spans.get_finished_spans()] == ([7] if is_traced else [])


def as_json(record: logging.LogRecord) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(_Json(b"k").format(record))
    return line


def every_one(self: OverlayWriter, place: str, reason: Exception) -> None:
    logging.getLogger("recs.overlay").warning("%s: %s", place, reason)


def unavailable(rows: Sequence[Any]) -> None:
    raise UnavailableError("away")
