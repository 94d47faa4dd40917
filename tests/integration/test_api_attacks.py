"""What attackers send to a service whose answers do come out of a database: SQL in every field, and anything else.

Over a real ClickHouse, with a token of every scope, so that no field is refused before it could reach a statement.
"""

import asyncio
import random
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import clickhouse_connect
import grpc
import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings

from api import watch
from api.app import create_app
from api.grpc import NAME, running_grpc
from data_contracts import recommendation_pb2 as pb
from data_contracts import recommendation_pb2_grpc as services
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.local.clickhouse.testing import clickhouse_url
from infra.tokens import ensure_issuer, issue
from sql.client import Address, connected
from sql.pointer import moves
from tests.call_chains import follow_chains
from tests.day_snapshots import serve
from tests.day_world import ALICE, FIRST, NOW, SECOND

__all__ = ["clickhouse_url"]

PLAIN, SOMEBODY = "unheard-of", 4242
ATTACKS = (
    "1; DROP TABLE user_rows --",
    "' OR '1'='1",
    "') UNION ALL SELECT 1, 2, 3 --",
    "\\' OR 1=1 --",
    "\\N",
    "\\",
    "{user_id:UInt64}",
    "%(user_id)s %s %",
    "'], 'x') OR (1",
    "1 AND sleep(3)",
    '"; TRUNCATE TABLE items; #',
    "ʼ OR 1=1 –– 😀",
)
# What a call needs of each name that it may ask for, and for what somebody may have asked.
VALID: Mapping[str, Any] = {
    "user_id": str(ALICE),
    "user_ids": [str(ALICE)],
    "channel": "web",
    "product_id": "card_gold",
    "item_id": "loan_cash",
    "snapshot_id": SECOND,
    "rec_id": "x",
    "event_type": "click",
    "timestamp": NOW.isoformat(),
    "kind": "other",
    "suppression_id": "0" * 32,
    "audience_id": "0" * 32,
    "export_id": "0" * 24,
    "proposal_id": "0" * 32,
    "name": "part-00000.csv",
    "size": 3,
    "request_key": "nightly",
    "document": "name: x",
    "why": "a test",
    "reason": "a test",
}
# Of what no call asks for, but the service or what it stands on reads.
_HEADERS = ("traceparent", "accept-language", "cookie", "x-forwarded-for")
# Tables that the day writes to, in answer to calls or beside them.
WRITTEN = {
    "approvals",
    "audience_members",
    "audiences",
    "blocks",
    "exports",
    "exposures",
    "feedback",
    "gate_overrides",
    "overlay_writers",
    "proposals",
    "published_snapshots",
    "suppressions",
    "suppression_lifts",
    "user_events",
    "user_rows",
}


@pytest.fixture(scope="module")
def fuzzed(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """For calls that nobody chose: what they change is in no other test's way."""
    mine = Address(url=clickhouse_url, database="fuzzed")
    serve(mine, tmp_path_factory, FIRST, SECOND, current=FIRST)
    yield mine


@pytest.fixture(autouse=True)
def a_patient_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine too, answers come out of the database."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 120)


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    mine = Address(url=clickhouse_url, database="attacked")
    serve(mine, tmp_path_factory, FIRST, SECOND, current=FIRST)
    yield mine


def settings_of(address: Address, folder: Path) -> Settings:
    return Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        clickhouse_database=address.database,
        auth="on",
        lookup_deadline_ms=30_000,
        breaker_failures=10**6,
        grpc_port=0,
        grpc_metrics_port=0,
    )


def bearer(started: Settings) -> str:
    ensure_issuer(started)
    return f"Bearer {issue(started, scopes=list(Scope), client='somebody', seconds=3_600, now=NOW.timestamp())}"


@contextmanager
def served(address: Address, folder: Path) -> Iterator[tuple[FastAPI, TestClient]]:
    started = settings_of(address, folder)
    headers = {"Authorization": bearer(started)}
    app = create_app(started, clock=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False, headers=headers) as client:
        until(lambda: client.get("/readyz").json()["tier"] == "personal")
        yield app, client


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tier(client: TestClient) -> str:
    answer = client.get("/api/v1/recommendations", params={"user_id": str(ALICE), "channel": "web"}).json()
    return str(answer["tier"])


def rows_of(address: Address) -> dict[str, int]:
    """By table; a statement that got in could have made, emptied or dropped any."""
    admin = clickhouse_connect.get_client(dsn=address.url, database=address.database)
    told = "SELECT name, total_rows FROM system.tables WHERE database = {database:String}"
    return {name: rows or 0 for name, rows in admin.query(told, {"database": address.database}).result_rows}


def assert_untouched(before: Mapping[str, int], after: Mapping[str, int], *, written: Collection[str]) -> None:
    """Merges drop rows of the day's tables that newer ones replace."""
    assert after.keys() == before.keys()
    for name, rows in before.items():
        assert after[name] == rows or name in written or (name in WRITTEN and 0 < after[name] < rows), name
        assert after[name] > 0 or rows == 0, name


# SQL in every field


@dataclass(frozen=True)
class Field:
    """Of a call: where it stands (`path`, `query`, `header`, `body`), and whether it takes several values."""

    where: str
    name: str
    is_many: bool = False


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    given: Mapping[Field, Any] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()

    @property
    def is_read(self) -> bool:
        return self.method == "GET" or self.path.endswith(("/batch", "/preview"))

    def about(self, user_id: int) -> "Call":
        others = {"user_id": str(user_id), "user_ids": [str(user_id)]}
        return replace(self, given={one: others.get(one.name, value) for one, value in self.given.items()})

    def send(self, client: TestClient, where: Field, text: str) -> httpx.Response:
        said = {**self.given, where: [text] if where.is_many else text}
        parts: dict[str, dict[str, Any]] = {part: {} for part in ("path", "query", "header", "body")}
        for one, value in said.items():
            parts[one.where][one.name] = value
        path = self.path
        for name, value in parts["path"].items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        return client.request(
            self.method,
            path,
            params=parts["query"],
            headers={name: str(value).encode() for name, value in parts["header"].items()},
            json=parts["body"] or None,
        )


def calls(document: Mapping[str, Any]) -> Iterator[Call]:
    """Every call of the contract that takes anything, with all that it needs."""

    def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema or "anyOf" in schema:
            if "anyOf" in schema:
                schema = schema["anyOf"][0]
            else:
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found, needed = [], []
            for one in operation.get("parameters", ()):
                found.append(Field(one["in"], one["name"], resolved(one["schema"]).get("type") == "array"))
                needed += found[-1:] if one.get("required") else []
            content = operation.get("requestBody", {}).get("content", {})
            body = resolved(content.get("application/json", {}).get("schema", {}))
            for name, schema in body.get("properties", {}).items():
                found.append(Field("body", name, resolved(schema).get("type") == "array"))
                needed += found[-1:] if name in body.get("required", ()) else []
            if found:
                found += [Field("header", name) for name in _HEADERS] if path.endswith("/recommendations") else []
                yield Call(method.upper(), path, {one: VALID[one.name] for one in needed}, tuple(found))


def tried_at(plain: httpx.Response) -> tuple[str, ...]:
    """Where a word that nobody heard of is no value at all, few texts say as much as all."""
    return ATTACKS[:2] if plain.status_code == 422 else ATTACKS


def as_told(response: httpx.Response, text: str) -> Any:
    """An answer without what differs from call to call, and without what it was asked for."""
    passing = {"rec_id", "timestamp", "instance", "snapshot_age_s"}

    def of(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: of(one) for name, one in value.items() if name not in passing}
        if isinstance(value, list):
            return [of(one) for one in value]
        return value.replace(repr(text), "*").replace(text, "*") if isinstance(value, str) else value

    is_json = "json" in response.headers.get("content-type", "") and "ndjson" not in response.headers["content-type"]
    return of(response.json()) if is_json else re.sub('"cursor":"[^"]*"', "", response.text)


def test_sql_in_a_field_of_a_read_is_a_value_that_nobody_heard_of(address: Address, tmp_path: Path) -> None:
    before = rows_of(address)
    tried = 0
    with served(address, tmp_path) as (app, client):
        for call in (one for one in calls(app.openapi()) if one.is_read):
            for where in call.fields:
                plain = call.send(client, where, PLAIN)
                assert plain.status_code < 500, (call, where, plain.text)
                for text in tried_at(plain):
                    answer = call.send(client, where, text)
                    told = (call.method, call.path, where, text, answer.text, plain.text)
                    assert answer.status_code in {plain.status_code, 422}, told
                    if answer.status_code == plain.status_code != 422:
                        assert as_told(answer, text) == as_told(plain, PLAIN), told
                    tried += 1
        assert tier(client) == "personal"
    after = rows_of(address)
    assert tried > 200
    assert_untouched(before, after, written={"exposures"})


def test_sql_in_a_field_of_an_order_is_kept_as_it_was_said_and_does_nothing_else(
    address: Address, tmp_path: Path
) -> None:
    before = rows_of(address)
    with served(address, tmp_path) as (app, client):
        for call in (one.about(SOMEBODY) for one in calls(app.openapi()) if not one.is_read):
            for where in call.fields:
                for text in (PLAIN, *tried_at(call.send(client, where, PLAIN))):
                    until(lambda: not app.state.exports.running)  # of which only so many are written at once
                    answer = call.send(client, where, text)
                    assert answer.status_code < 500, (call, where, text, answer.text)
        assert tier(client) == "personal"
        told = client.get("/api/v1/moves", params={"most": 100}).json()
    after = rows_of(address)
    assert_untouched(before, after, written=WRITTEN)
    with connected(address) as store:
        assert {*ATTACKS} <= {move.why for move in moves(store)}
    assert {*ATTACKS} <= {one["why"] for one in told["moves"]}


def test_sql_in_a_field_of_a_grpc_call_is_a_value_that_nobody_heard_of(address: Address, tmp_path: Path) -> None:
    started = settings_of(address, tmp_path)
    token = (("authorization", bearer(started)),)

    def asking(text: str) -> Iterator[pb.RecommendRequest]:
        whole = pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB)
        for said in ({"exclude": [text]}, *({"context": {name: text}} for name in ("search", "basket_product"))):
            request = pb.RecommendRequest(**said)
            request.MergeFrom(whole)
            yield request
        yield pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB, context={"cart": [text]})

    async def scene() -> None:
        async with (
            running_grpc(started, clock=lambda: NOW) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            stub = services.RecommendationServiceStub(channel)
            for text in ATTACKS:
                for request, plain in zip(asking(text), asking(PLAIN), strict=True):
                    answers = [await stub.GetRecommendations(one, metadata=token) for one in (request, plain)]
                    assert {answer.tier for answer in answers} == {pb.TIER_PERSONAL}
                    assert [*answers[0].recommendations] == [*answers[1].recommendations]
                for refused in (
                    stub.GetRecommendations(
                        pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB, context={"screen": text}),
                        metadata=token,
                    ),
                    stub.SendFeedback(pb.FeedbackRequest(rec_id=text, user_id=ALICE), metadata=token),
                ):
                    with pytest.raises(grpc.aio.AioRpcError) as error:
                        await refused
                    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
                told = pb.FeedbackRequest(
                    rec_id=answers[0].rec_id,
                    user_id=ALICE,
                    event_type=pb.FEEDBACK_TYPE_CLICK,
                    timestamp=answers[0].timestamp,
                    attributes={"product_id": text, text: text},
                    idempotency_key=text,
                )
                assert (await stub.SendFeedback(told, metadata=token)).status == "accepted"

    before = rows_of(address)
    asyncio.run(scene())
    assert_untouched(before, rows_of(address), written={"exposures", "feedback", "user_events", "user_rows"})


def test_random_bytes_over_grpc_end_in_an_answer_or_in_a_refusal(address: Address, tmp_path: Path) -> None:
    draw = random.Random(11)
    started = settings_of(address, tmp_path)
    token = (("authorization", bearer(started)),)
    context = pb.Context(screen="main", search="a card", cart=["offer_a"], basket_product="loan_cash")
    request = pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB, top_k=3, exclude=["offer_b"], context=context)
    whole = {
        "GetRecommendations": request.SerializeToString(),
        "Recommend": request.SerializeToString(),
        "SendFeedback": pb.FeedbackRequest(rec_id="x", user_id=1, attributes={"a": "b"}).SerializeToString(),
    }

    async def scene() -> int:
        answers = 0
        async with (
            running_grpc(started, clock=lambda: NOW) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            for number in range(600):
                method = draw.choice([*whole])
                body = bytearray(whole[method] if number % 3 else draw.randbytes(draw.randint(0, 60)))
                for _ in range(draw.randint(0, 2) if number % 3 else 0):
                    body[draw.randrange(len(body))] = draw.randrange(256)
                call = channel.unary_unary(f"/{NAME}/{method}", request_serializer=bytes, response_deserializer=bytes)
                try:
                    answers += pb.RecommendResponse.FromString(await call(bytes(body), metadata=token)).tier > 0
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
        return answers

    assert asyncio.run(scene()) > 100


# Anything that the contract allows, and what it does not


def known(case: Any) -> Any:
    """The same with ids that exist, where it names any: else few calls would find what they ask for."""
    for part in ("path_parameters", "query", "body"):
        said = getattr(case, part)
        if isinstance(said, dict):
            real = {name: VALID[name] for name in said if name in {"user_id", "user_ids", "product_id", "snapshot_id"}}
            setattr(case, part, {**said, **real})
    return case


def small(case: Any) -> Any:
    """The same where it asks for an export of many files, which are written one by one."""
    if isinstance(case.body, dict) and isinstance(case.body.get("partitions"), int):
        case.body["partitions"] = min(case.body["partitions"], 2)
    return case


def test_no_call_ends_in_an_error_of_ours(fuzzed: Address, tmp_path: Path) -> None:
    """Schemathesis over every operation, with and against the schema: with a database, 503 is an error too."""
    statuses: set[tuple[str, int]] = set()
    draw = random.Random(3)
    with served(fuzzed, tmp_path) as (app, client):
        for result in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
            operation = result.ok()
            if operation.path == "/metrics":
                continue

            @given(case=operation.as_strategy())
            @settings(
                max_examples=8, suppress_health_check=list(HealthCheck), database=None, derandomize=True, deadline=None
            )
            def holds(case: schemathesis.Case) -> None:
                answer = sent(app, client, known(case) if draw.random() < 0.5 else case)
                statuses.add((case.operation.label, answer.status_code))

            holds()
    assert ("GET /api/v1/recommendations", 200) in statuses
    assert ("POST /api/v1/recommendations/batch", 200) in statuses
    assert ("GET /api/v1/products/{product_id}/portrait", 200) in statuses


def sent(app: FastAPI, client: TestClient, case: schemathesis.Case) -> httpx.Response:
    """With the token of the test's client, whatever the case shows. Fails for an error of ours."""
    until(lambda: not app.state.exports.running)
    made = small(case).as_transport_kwargs(base_url="http://testserver")
    headers = {name: value for name, value in (made.pop("headers") or {}).items() if name.lower() != "authorization"}
    response = client.request(**{name: one for name, one in made.items() if name != "cookies"}, headers=headers)
    assert response.status_code < 500, (case.operation.label, response.text)
    return response


def test_no_chain_of_calls_ends_in_an_error_of_ours(fuzzed: Address, tmp_path: Path) -> None:
    with served(fuzzed, tmp_path) as (app, client):
        statuses = follow_chains(app, lambda case: sent(app, client, case), examples=24)
    # That chains are followed at all; which ids are drawn depends on what else the process has imported.
    assert {"GET /api/v1/products", "GET /api/v1/products/{product_id}/portrait"} <= {label for label, _ in statuses}
