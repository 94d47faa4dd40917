"""What attackers and crowds send: sizes, slowness, floods, odd ids and texts, and too much of everything."""

import asyncio
import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api import metrics
from api.app import create_app
from api.breaker import Breaker
from api.limits import Limits, MemoryBuckets
from api.logs import _Json, without_secrets
from api.room import AdaptiveLimit
from api.store import Found, Pointers
from api.traces import Traces
from data_contracts.errors import UnavailableError
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.tokens import ensure_issuer, issue
from sql.client import TRACEPARENT
from tests.day_world import ALICE, FIRST, NOW, FakeStore

URL, ASKED = "/api/v1/recommendations", {"user_id": "1", "channel": "web"}
Start = Callable[..., TestClient]
OPEN = {"auth": "off", "client_rate": 0, "user_rate": 0, "pointer_poll_seconds": 3_600, "lookup_deadline_ms": 5_000}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[TestClient] = []

    def started(store: FakeStore | None = None, **given: Any) -> TestClient:
        one = Settings(data_dir=tmp_path, clickhouse_url=NOWHERE, **{**OPEN, **given})
        app = create_app(one, store=store or FakeStore(), clock=lambda: NOW)
        client = TestClient(app, raise_server_exceptions=False)
        running.append(client)
        return client.__enter__()

    yield started
    for client in running:
        client.__exit__(None, None, None)


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


# Sizes, slowness, depth


def test_a_body_beyond_the_limit_is_refused_whether_it_says_its_length_or_not(start: Start) -> None:
    client = start(max_body_bytes=1_000)
    order = {"item_id": "loan_cash", "why": "x" * 2_000}
    assert client.post("/api/v1/blocks", json=order).status_code == 413
    streamed = client.post("/api/v1/blocks", content=iter([b'{"why": "', b"x" * 600, b"x" * 600]))
    assert (streamed.status_code, streamed.headers["content-type"]) == (413, "application/problem+json")


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, **{**OPEN, "body_seconds": 0.05}), store=FakeStore())
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/blocks", "headers": headers, "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"item_id":' * 50_000,
        b'{"item_id": "\\ud800"}',
        b'{"item_id": "a\\u0000b"}',
        b"\xff\xfe",
        b"null",
        b'{"item_id": 1e999}',
        b'{"item_id": "x", "why": NaN}',
        b'{"item_id": "x", "__proto__": {}}',
    ],
)
def test_a_body_that_is_no_order_is_the_callers_fault(start: Start, body: bytes) -> None:
    response = start().post("/api/v1/blocks", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_a_flood_of_headers_is_refused(start: Start) -> None:
    client = start()
    assert client.get("/healthz", headers={f"x-{n}": "y" for n in range(200)}).status_code == 431
    assert client.get("/healthz", headers={"x": "y" * 40_000}).status_code == 431


ODD = [
    str(2**64 - 1),
    str(2**64),
    str(-(2**63)),
    "१२३",
    "1٣",
    "𝟙",
    "1\u0000",
    "%00",
    "1e3",
    "0x1",
    "1" * 5_000,
    "\u202e1",
]
SQL = ["1; DROP TABLE lists", "1' OR '1'='1", "{user_id:UInt64}", "1) UNION SELECT 1 --", "\\' OR 1=1"]


@pytest.mark.parametrize("field", ["user_id", "channel", "top_k", "kind", "locale"])
def test_odd_ids_and_sql_reach_no_database(start: Start, field: str) -> None:
    store = FakeStore()
    client = start(store)
    store.asked.clear()
    for text in ODD + SQL:
        response = client.get(URL, params={**ASKED, field: text})
        assert response.status_code == 422, (field, text, response.text)
    assert store.asked == []


@given(text=st.text(max_size=40), field=st.sampled_from(["user_id", "channel", "top_k", "kind", "locale", "new"]))
@hypothesis_settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_no_text_in_any_parameter_breaks_the_service(start: Start, text: str, field: str) -> None:
    global _SHARED  # noqa: PLW0603 - one service for all examples
    _SHARED = _SHARED or start()
    assert _SHARED.get(URL, params={**ASKED, field: text}).status_code in {200, 422}


_SHARED: TestClient | None = None


def test_what_the_contract_allows_never_ends_in_an_error_of_ours(tmp_path: Path) -> None:
    """Schemathesis over every operation, with and against the schema."""
    one = Settings(data_dir=tmp_path, clickhouse_url=NOWHERE, **OPEN)
    app = create_app(one, store=FakeStore(), clock=lambda: NOW)
    schema = schemathesis.openapi.from_dict(app.openapi())
    with TestClient(app, raise_server_exceptions=False) as client:
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.path == "/metrics":
                continue

            @given(case=operation.as_strategy())
            @hypothesis_settings(max_examples=12, suppress_health_check=list(HealthCheck), database=None)
            def holds(case: schemathesis.Case) -> None:
                sent = case.as_transport_kwargs(base_url="http://testserver")
                response = client.request(**{name: given for name, given in sent.items() if name != "cookies"})
                # 503 is an honest answer here: there is no database behind the operators' calls.
                assert response.status_code < 500 or response.status_code == 503, response.text

            holds()


# Too much of everything


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    clock = [0.0]
    buckets = MemoryBuckets(per_second=2, burst=3, monotonic=lambda: clock[0])
    assert [buckets.take("a").is_granted for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b").is_granted
    assert buckets.take("a").wait_seconds == pytest.approx(0.5)
    clock[0] += 0.5
    assert [buckets.take("a").is_granted for _ in range(2)] == [True, False]
    clock[0] += 3_600
    assert buckets.take("a").remaining == 2


def test_who_asks_too_often_is_told_when_to_come_back(start: Start) -> None:
    client = start(user_rate=2)
    first = client.get(URL, params=ASKED)
    assert first.headers["ratelimit"] == '"user";r=3;t=0'
    assert first.headers["ratelimit-policy"] == '"user";q=4;w=2'
    answers = [client.get(URL, params={**ASKED, "user_id": "0001"}) for _ in range(8)]  # the same user
    refused = answers[-1]
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get(URL, params={**ASKED, "user_id": "2"}).status_code == 200


def test_users_in_a_body_are_counted_as_those_in_the_query(start: Start) -> None:
    client = start()
    slow = MemoryBuckets(per_second=0.001, burst=4)
    client.app.state.limits = Limits(client=None, user=slow, user_policy="policy")  # type: ignore[attr-defined]

    def batch(*users: int) -> httpx.Response:
        return client.post(f"{URL}/batch", json={"user_ids": users, "channel": "web"})

    def told(user: int) -> httpx.Response:
        body = {"rec_id": "x", "user_id": user, "event_type": "click", "timestamp": NOW.isoformat()}
        return client.post(f"{URL}/feedback", json=body)

    assert batch(1, 1, 2).headers.get_list("ratelimit") == ['"user";r=3;t=0']
    assert [batch(1).status_code for _ in range(3)] == [200] * 3
    for refused in (batch(1), batch(1, 3), told(1)):
        assert (refused.status_code, refused.headers.get_list("ratelimit-policy")) == (429, ["policy"])
        assert int(refused.headers["retry-after"]) >= 1
    # Who stood beside the refused one has lost nothing.
    assert batch(3).headers["ratelimit"] == '"user";r=3;t=0'
    assert told(2).status_code == 422


def test_clients_have_buckets_of_their_own(start: Start, tmp_path: Path) -> None:
    client = start(auth="on", client_rate=1)
    ensure_issuer(client.app.state.settings)  # type: ignore[attr-defined]
    made = {
        name: issue(
            client.app.state.settings,  # type: ignore[attr-defined]
            scopes=[Scope.RECOMMENDATIONS_READ],
            client=name,
            seconds=60,
            now=NOW.timestamp(),
        )
        for name in ("crowd", "quiet")
    }
    asyncio.run(client.app.state.guard._verifier.keys.look())  # type: ignore[attr-defined]

    def ask(name: str) -> int:
        return client.get(URL, params=ASKED, headers={"Authorization": f"Bearer {made[name]}"}).status_code

    assert 429 in [ask("crowd") for _ in range(5)]
    assert ask("quiet") == 200


@pytest.mark.parametrize(
    ("overload", "served"), [("refuse", {"personal": 3}), ("static", {"personal": 3, "static": 9})]
)
def test_beyond_its_room_the_service_refuses_or_answers_from_memory(
    tmp_path: Path, overload: str, served: dict[str, int]
) -> None:
    store = FakeStore()
    one = Settings(data_dir=tmp_path, **{**OPEN, "max_concurrency": 3, "overload": overload})
    app = create_app(one, store=store, clock=lambda: NOW)

    async def scene() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://a") as http,
        ):
            store.delay = 0.1
            asked = [http.get(URL, params={**ASKED, "user_id": str(ALICE)}) for _ in range(12)]
            answers = await asyncio.gather(*asked, http.get("/healthz"))
            store.delay = 0
            assert (await http.get(URL, params={**ASKED, "user_id": str(ALICE)})).json()["tier"] == "personal"
            return answers

    *answers, health = asyncio.run(scene())
    assert Counter(answer.json()["tier"] for answer in answers if answer.status_code == 200) == served
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 12 - sum(served.values())
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert health.status_code == 200


@given(
    took=st.lists(st.floats(0, 10), max_size=400),
    at_once=st.integers(1, 500),
    target=st.floats(0.001, 1),
    most=st.integers(10, 500),
)
def test_the_limit_stays_between_its_ends_whatever_requests_take(
    took: list[float], at_once: int, target: float, most: int
) -> None:
    limit = AdaptiveLimit(target_seconds=target, least=10, most=most)
    for number, seconds in enumerate(took):
        limit.sample(seconds, at_once=at_once, now=0.02 * number)
        assert 10 <= limit.limit <= most


def served(limit: AdaptiveLimit, *, per_second: float, seconds: float, since: float = 0.0) -> float:
    """A service that answers `per_second`, with as many in progress as the limit lets in; returns the last time."""
    now = since
    while now < since + seconds:
        now += 1 / per_second
        limit.sample(limit.limit / per_second, at_once=limit.limit, now=now)
    return now


def test_the_limit_becomes_what_is_answered_in_time_and_follows_the_machine() -> None:
    limit = AdaptiveLimit(target_seconds=0.05, least=10, most=1_000)
    now = served(limit, per_second=1_000, seconds=2)
    assert 40 <= limit.limit <= 55  # by Little's law 1,000/s x 0.05 s
    now = served(limit, per_second=4_000, seconds=4, since=now)
    assert 160 <= limit.limit <= 215
    served(limit, per_second=1_000, seconds=1, since=now)
    assert 40 <= limit.limit <= 55


def test_a_limit_that_nobody_uses_does_not_grow() -> None:
    limit = AdaptiveLimit(target_seconds=0.05, least=10, most=1_000)
    now = served(limit, per_second=1_000, seconds=2)
    limits = []
    for number in range(500):
        limit.sample(0.005, at_once=3, now=now + 0.01 * number)
        limits.append(limit.limit)
    assert set(limits[20:]) == {limits[20]}  # after the last window of the crowd


def test_a_database_that_lets_wait_is_no_reason_to_let_fewer_in(tmp_path: Path) -> None:
    store = FakeStore()
    given = {
        **OPEN,
        "max_concurrency": 40,
        "queue_target_ms": 150,
        "lookup_deadline_ms": 300,
        "breaker_failures": 10**6,
    }
    app = create_app(Settings(data_dir=tmp_path, clickhouse_url=NOWHERE, **given), store=store, clock=lambda: NOW)

    async def scene() -> list[int]:
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://a") as http,
        ):
            store.delay = 2
            statuses = []
            for _ in range(3):
                statuses += [
                    one.status_code for one in await asyncio.gather(*(http.get(URL, params=ASKED) for _ in range(36)))
                ]
            return statuses

    assert set(asyncio.run(scene())) == {200}


# When things are down


def test_a_breaker_opens_after_failures_in_a_row_and_tries_now_and_then() -> None:
    clock = [0.0]
    breaker = Breaker(failures=2, retry_seconds=1, slow_seconds=0.1, monotonic=lambda: clock[0])
    breaker.failed()
    breaker.answered(seconds=0.05)
    breaker.failed()
    assert breaker.lets_through()
    breaker.answered(seconds=0.2)  # too late to be of use
    assert not breaker.lets_through()
    clock[0] += 1
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.failed()
    clock[0] += 1
    assert breaker.lets_through()
    breaker.answered(seconds=0.01)
    assert breaker.lets_through()
    assert not breaker.is_open


def test_a_failing_database_is_spared_and_found_again(start: Start) -> None:
    store = FakeStore()
    client = start(store, breaker_failures=3, breaker_retry_seconds=1)
    store.failure = UnavailableError("gone")
    asked = len(store.asked)
    for _ in range(10):
        assert client.get(URL, params=ASKED).json()["tier"] == "static"
    assert len(store.asked) - asked == 3
    assert b"recs_breaker_open 1.0" in client.get("/metrics").content
    store.failure = None
    while client.get(URL, params=ASKED).json()["tier"] != "personal":
        pass
    assert b"recs_breaker_open 0.0" in client.get("/metrics").content


def test_an_outdated_snapshot_shows_nothing_as_personal_and_says_so(start: Start) -> None:
    old = start(FakeStore(pointer=Pointers(snapshot_id="2026-03-12.1", rules_seq=1)), max_snapshot_age_days=3)
    answer = old.get(URL, params={"user_id": str(ALICE), "channel": "web"}).json()
    assert {answer["tier"], *(item["tier"] for item in answer["recommendations"])} <= {"segment", "popular", "static"}
    assert answer["snapshot_age_s"] > 3 * 86_400
    assert "card_debit" not in {item["product_id"] for item in answer["recommendations"]}  # held: still known
    ready = old.get("/readyz").json()
    assert ready["tier"] == "segment"
    assert "days old" in ready["reasons"][0]
    assert b"recs_snapshot_outdated 1.0" in old.get("/metrics").content
    fresh = start(FakeStore(), max_snapshot_age_days=3)
    assert fresh.get(URL, params={"user_id": str(ALICE), "channel": "web"}).json()["snapshot_id"] == FIRST
    assert b"recs_snapshot_outdated 0.0" in fresh.get("/metrics").content


# What is told of it all


def test_metrics_count_by_route_and_tier_and_name_nobody(start: Start, tmp_path: Path) -> None:
    client = start()
    before = value("recs_requests_total", route=URL, method="GET", status="200")
    someone = 987_654_321_012_345  # longer than any number that a metric may have by chance
    for user in range(someone, someone + 20):
        client.get(URL, params={**ASKED, "user_id": str(user)})
    client.request("BREW", f"/teapot/{ALICE}")
    for path in range(50):
        client.get(f"/nowhere/{path}")
    client.post("/api/v1/snapshots/2026-03-15.1/publish")
    text = client.get("/metrics").content.decode()
    assert value("recs_requests_total", route=URL, method="GET", status="200") == before + 20
    assert not re.search("9876543210123|nowhere|teapot|BREW|2026-03-15.1", text)
    assert 'route="/api/v1/snapshots/{snapshot_id}/publish"' in text


def test_what_a_rule_drops_is_counted_by_the_rule(start: Start) -> None:
    client = start(FakeStore(pointer=Pointers(FIRST, 1, frozenset({"card_gold"}))))
    before = {rule: value("recs_policy_drops_total", rule=rule) for rule in ("blocked", "held", "not_safe")}
    client.get(URL, params={**ASKED, "user_id": str(ALICE)})
    counted = {rule: value("recs_policy_drops_total", rule=rule) - was for rule, was in before.items()}
    assert counted == {"blocked": 1, "held": 2, "not_safe": 0}  # held: in the personal and in the popular list


def test_answers_are_counted_by_tier_whether_single_or_of_a_batch(start: Start) -> None:
    def counted() -> list[float]:
        return [value("recs_answers_total", tier=tier) for tier in ("personal", "static")]

    class Away(FakeStore):
        async def look_up(self, *_: Any, **__: Any) -> Found:
            raise UnavailableError("away")

    batch = {"user_ids": [str(ALICE)] * 3, "channel": "web"}
    for store, served in ((FakeStore(), [4, 0]), (Away(), [0, 4])):
        client, before = start(store), counted()
        assert client.get(URL, params={**ASKED, "user_id": str(ALICE)}).status_code == 200
        assert client.post(f"{URL}/batch", json=batch).status_code == 200
        assert [now - was for now, was in zip(counted(), before, strict=True)] == served


def test_labels_take_few_values() -> None:
    """Whatever callers send: the series of a name are bounded by routes, methods, statuses and tiers."""
    for family in metrics.REGISTRY.collect():
        values = defaultdict[str, set[str]](set)
        for sample in family.samples:
            for name, value in sample.labels.items():
                values[name].add(value)
        assert values.keys() <= {"route", "method", "status", "tier", "why", "le", "rule"}
        assert all(len(found) < 64 for found in values.values()), family.name
        series_of_routes = Counter(sample.labels.get("route") for sample in family.samples)
        assert max(series_of_routes.values(), default=0) < 100, family.name


@pytest.mark.parametrize(
    "line",
    [
        "GET /api/v1/recommendations?user_id=4242424242&channel=web",
        "GET /api/v1/recommendations?channel=web&user_id%3D4242424242",
        "GET /api/v1/users/4242424242/profile",
        '{"user_id": "4242424242"}',
        "{'user_id': 4242424242}",
        "GET /api/v1/suppressions?user_ids=4242424242,4242424242&channel=web",
        "POST /?param_user_ids=%5B7%2C+4242424242%5D&param_cut_off=1",
        "user_ids: [7, 4242424242]",
        "user_ids = (7, 4242424242)",
        "user_ids=array([7,\n 4242424242])",
        "{'user_ids': [7, 4242424242], 'cut_off': 1}",
        '{"user_ids":["7","4242424242"]}',
        r"{\"user_ids\": [\"7\", \"4242424242\"]}",
        "user_ids=[7, 4242424242, 42424242",  # cut off by who wrote it
    ],
)
def test_no_log_line_shows_a_user(line: str) -> None:
    shown = without_secrets(line, key=b"k")
    assert "42424242" not in shown
    assert ("[users]" if "user_ids" in line else "hash:") in shown


def test_what_stands_beside_a_list_of_users_is_still_told() -> None:
    asked = "POST /?query_id=q&param_user_ids=%5B7%2C8%5D&param_cut_off=1"
    assert without_secrets(asked, key=b"k") == "POST /?query_id=q&param_user_ids=[users]&param_cut_off=1"
    assert without_secrets("{'user_ids': [7, 8], 'n': 1}", key=b"k") == "{'user_ids': [users], 'n': 1}"
    assert without_secrets("user_ids=7, 8: too many", key=b"k") == "user_ids=[users]: too many"


def test_no_log_line_shows_what_was_searched_for() -> None:
    for name in ("context.search=", "context%2Esearch=", "context.search%3D"):
        shown = without_secrets(f"GET /api/v1/recommendations?{name}my+debts&context.screen=loans", key=b"k")
        assert shown == f"GET /api/v1/recommendations?{name}[words]&context.screen=loans"


def test_json_lines_hold_the_trace_and_no_token(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    record = logging.LogRecord(
        "recs.api", logging.ERROR, "", 0, "Authorization: Bearer %s", ("eyJhbGci.eyJ.sig",), None
    )
    line = json.loads(_Json(b"k").format(record))
    assert line["level"] == "error"
    assert "eyJ" not in line["message"]
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = start().get("/healthz", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.headers["x-trace-id"] == trace
    odd = start().get("/healthz", headers={"traceparent": "00-nonsense"})
    assert re.fullmatch("[0-9a-f]{32}", odd.headers["x-trace-id"])


def test_a_trace_goes_from_the_caller_to_the_look_up_and_names_nobody(tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    one = Settings(data_dir=tmp_path, **OPEN)
    traces = Traces.to(SimpleSpanProcessor(spans), share=0)  # but the caller's choice counts
    store = FakeStore()
    carried: list[str] = []

    async def seen(snapshot_id: str, user_ids: Any, *, cut_off: int) -> Found:
        carried.append(TRACEPARENT.get())
        return Found()

    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with TestClient(create_app(one, store=store, clock=lambda: NOW, traces=traces)) as client:
        store.look_up = seen  # type: ignore[method-assign]
        asked = {**ASKED, "user_id": "4242424242"}
        answer = client.get(URL, params=asked, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        client.get(URL, params=asked)
    look_up, request = spans.get_finished_spans()
    assert (request.name, look_up.name) == (f"GET {URL}", "look-up")
    assert look_up.parent is not None
    assert look_up.parent.span_id == request.context.span_id
    assert {f"{span.context.trace_id:032x}" for span in (request, look_up)} == {trace}
    assert answer.headers["x-trace-id"] == trace
    assert carried[0].split("-")[1:3] == [trace, f"{look_up.context.span_id:016x}"]
    assert "4242424242" not in request.to_json() + look_up.to_json()


def test_what_stores_events_continues_the_traces_of_those_who_sent_them() -> None:
    spans = InMemorySpanExporter()
    traces = Traces.to(SimpleSpanProcessor(spans), share=0)
    sent = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    with traces.batch("store events", [*sent, sent[0]]):
        pass
    with traces.batch("store events", []):
        pass
    (span,) = spans.get_finished_spans()
    assert span.context.trace_id == 1
    assert [link.context.trace_id for link in span.links] == [1, 2]


def test_a_refused_token_is_in_no_log_and_no_metric(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = start(auth="on")
    ensure_issuer(client.app.state.settings)  # type: ignore[attr-defined]
    secret = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2VjcmV0"
    with caplog.at_level(logging.DEBUG):
        client.get(URL, params=ASKED, headers={"Authorization": f"Bearer {secret}"})
    assert secret not in caplog.text + client.get("/metrics").text
    assert orjson.loads(client.get("/healthz").content) == {"status": "ok"}
