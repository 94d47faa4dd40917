"""Look-up, batch, gRPC, bulk list, export and audience agree on everybody, item for item and score for score.

Events since the night, contact caps, a block and an experiment are at work, and it is night where the users live:
quiet hours are about sending, so that they change nothing that is shown. An audience ranks by personal lists whatever
arm of an experiment a user is in, so that it is held against the users of the personal arm. The long form is
`make chaos`.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from api.app import create_app
from api.grpc import running_grpc
from api.store import UserState
from data_contracts import recommendation_pb2 as pb
from data_contracts.contact_policy import QuietHours, contact_policy
from data_contracts.overlay import EventRow, row_of
from data_contracts.overlay.kinds import SUPPRESSIONS
from data_contracts.overlay.rows import micros
from data_contracts.recommendation_pb2_grpc import RecommendationServiceStub
from data_contracts.settings import Settings
from data_contracts.suppressions import Suppression, Terms, lifts_of
from data_contracts.suppressions import events_of as events_of_one
from data_contracts.vocabulary import Channel, Kind, Tier
from infra.local.clickhouse.testing import clickhouse_url
from sql.client import Address, connected
from sql.migrate import migrate
from sql.pointer import publish
from sql.rules import block, put_rule_set
from sql.user_events import put_events
from tests.bulk_world import some_lists
from tests.day_snapshots import Reached, load_snapshot
from tests.day_world import CATALOGUE, CODES, FIRST, NOW, PRODUCTS, REASONS, RULES
from tests.experiment_samples import folder_of

__all__ = ["clickhouse_url"]
NIGHT = NOW.replace(hour=20)
URL = "/api/v1/lists"
TOP_K, PRODUCT, AT_ONCE = 4, "card_gold", 1_000
ARMS = {
    "own": {"share": 0.5, "variant": "personal"},
    "segment": {"share": 0.3, "variant": "segment"},
    "uplift": {"share": 0.2, "variant": "uplift"},
}
Shown = list[tuple[str, float | None]]


@dataclass(frozen=True)
class World:
    address: Address
    users: int
    one_in: int  # of them is looked up alone
    unlisted: frozenset[int]  # whom an audience may have though the product is not on their lists


def states_of(draw: np.random.Generator, users: int) -> Mapping[int, UserState]:
    return {
        user_id: UserState(
            segment=int(draw.integers(0, 4)),
            holdings=draw.permutation(len(PRODUCTS))[: draw.integers(0, 3)].tolist(),
            birth_year=int(draw.integers(1950, 2015)),
            region=int(draw.integers(-1, 80)),
            consents=int(draw.integers(0, 16)) | 16,
        )
        if draw.random() < 0.9
        else UserState()
        for user_id in range(users)
    }


def events_of(draw: np.random.Generator, users: int) -> Iterator[EventRow | None]:
    feedback = [("recommendation.feedback", word) for word in ("clicked", "dismissed", "purchased", "opted_out")]
    campaigns = [("campaign.interactions", word) for word in ("sent", "sent", "sent", "held_out", "shown")]
    kinds = feedback + campaigns
    for number in range(users):
        topic, word = kinds[draw.integers(len(kinds))]
        event = {
            "event_id": f"e{number}",
            "user_id": int(draw.integers(users // 2)),
            "event_time": micros(NIGHT) - int(draw.integers(1, 40)) * 3_600_000_000,
            "event_type": word,
            "product_id": str(draw.choice(PRODUCTS)),
            "channel": str(draw.choice(["web", "crm"])),
            "rec_id": "",
        }
        yield row_of(topic, event, arrived=micros(NIGHT), skew=0)
    yield from suppressions_of(draw, users)


def suppressions_of(draw: np.random.Generator, users: int) -> Iterator[EventRow | None]:
    """A fifth of everybody is suppressed, wholly or in part; of half of them that is lifted."""
    about = [{}, {"product_id": PRODUCT}, {"family": "loan"}]
    for user_id in range(0, users, 5):
        terms = Terms.model_validate(
            {"kind": "complaint", "channel": str(draw.choice(["all", "crm"]))} | draw.choice(about)
        )
        one, name = Suppression(user_id, terms), f"s{user_id}/0"
        lifted = lifts_of(one, name=name, at=NIGHT) if user_id % 2 else ()
        for event in (*lifted, *events_of_one(one, name=name, at=NIGHT)):
            yield row_of(SUPPRESSIONS, event, arrived=micros(NIGHT), skew=0)


@pytest.fixture(
    scope="module", params=[(1_000, 5), pytest.param((50_000, 1), marks=pytest.mark.chaos)], ids=lambda of: str(of[0])
)
def world(request: pytest.FixtureRequest, clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    users, one_in = request.param
    address, draw = Address(url=clickhouse_url, database=f"parity_{users}"), np.random.default_rng(5)
    states = states_of(draw, users)
    lists = {user_id: some_lists(draw) for user_id in states if draw.random() < 0.7}
    code = CODES[PRODUCT]
    unlisted = {user_id for user_id, own in lists.items() if code not in own.products.items and user_id % 3 == 0}
    beyond = [Reached(code, user_id, score=9_000 + user_id % 7, rank=9_000 + user_id % 7) for user_id in unlisted]
    migrate(address)
    with connected(address) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        folder = tmp_path_factory.mktemp("snapshot")
        load_snapshot(store, folder, snapshot_id=FIRST, states=states, lists=lists, beyond=beyond)
        put_events(store, [event for event in events_of(draw, users) if event])
        block(store, "deposit_year", actor="test", why="a test")
        publish(store, FIRST, actor="test")
    return World(address, users, one_in, frozenset(unlisted))


@asynccontextmanager
async def interfaces(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, RecommendationServiceStub]]:
    app = create_app(settings, clock=lambda: NIGHT)
    beside = settings.model_copy(update={"data_dir": settings.data_dir / "grpc"})
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api", timeout=600) as client,
        running_grpc(beside, clock=lambda: NIGHT) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as wire,
    ):
        yield client, RecommendationServiceStub(wire)


def shown(items: list[Mapping[str, Any]]) -> Shown:
    return [(item.get("product_id") or item["item_id"], item["score"]) for item in items]


async def batched(client: httpx.AsyncClient, users: int, **asked: Any) -> dict[int, Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    for first in range(0, users, AT_ONCE):
        body = {"user_ids": [str(one) for one in range(first, min(first + AT_ONCE, users))], **asked}
        response = await client.post("/api/v1/recommendations/batch", json=body)
        assert response.status_code == 200, response.text
        found |= {int(answer["user_id"]): answer for answer in response.json()["answers"]}
    return found


async def looked_up(client: httpx.AsyncClient, users: range, **asked: Any) -> dict[int, Shown]:
    async def one(user_id: int) -> Shown:
        answer = await client.get("/api/v1/recommendations", params={"user_id": user_id, **asked})
        return shown(answer.json()["recommendations"])

    return await _each(users, one)


async def over_grpc(stub: RecommendationServiceStub, users: range, channel: Channel, kind: Kind) -> dict[int, Shown]:
    async def one(user_id: int) -> Shown:
        request = pb.RecommendRequest(
            user_id=user_id, channel=f"CHANNEL_{channel.name}", kind=f"KIND_{kind.name}", top_k=TOP_K
        )
        answer = await stub.GetRecommendations(request)
        return [(item.product_id, item.score if item.HasField("score") else None) for item in answer.recommendations]

    return await _each(users, one)


async def _each(users: range, ask: Callable[[int], Awaitable[Shown]]) -> dict[int, Shown]:
    """A few at a time, so that they share queries as apps' do."""
    waiting, found = iter(users), dict[int, Shown]()

    async def asker() -> None:
        for user_id in waiting:
            found[user_id] = await ask(user_id)

    await asyncio.gather(*(asker() for _ in range(16)))
    return found


async def pulled(client: httpx.AsyncClient, **asked: Any) -> dict[int, Shown]:
    lines = map(orjson.loads, (await client.get(URL, params=asked)).content.splitlines())
    return {int(one["user_id"]): shown(one["items"]) for one in lines if "user_id" in one}


async def written(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    told = (await client.post("/api/v1/exports", json={"request_key": str(asked), **asked})).json()
    while told["state"] != "written":
        assert told["state"] != "failed", told
        await asyncio.sleep(0.05)
        told = (await client.get(f"/api/v1/exports/{told['export_id']}")).json()
    return dict(told)


async def exported(client: httpx.AsyncClient, **asked: Any) -> dict[int, Shown]:
    told = await written(client, partitions=2, **asked)
    rows = [row for file in Path(told["uri"]).rglob("part-*.parquet") for row in pq.read_table(file).to_pylist()]
    # What it reserved counts for everybody, until it is given back.
    assert (await client.post(f"/api/v1/exports/{told['export_id']}/cancel")).status_code == 200
    return {row["user_id"]: list(zip(row["item_ids"], row["scores"], strict=True)) for row in rows}


def test_every_interface_says_the_same_of_everybody(world: World, tmp_path: Path) -> None:
    settings = _settings(world, tmp_path)
    tiers: set[str] = set()

    async def scene() -> None:
        async with interfaces(settings) as (client, stub):
            for channel, kind in [(Channel.CRM, Kind.PRODUCT), (Channel.WEB, Kind.PRODUCT), (Channel.WEB, Kind.OFFER)]:
                asked = {"channel": channel.value, "kind": kind.value, "top_k": TOP_K}
                answers = await batched(client, world.users, **asked)
                said = {one: shown(answer["recommendations"]) for one, answer in answers.items()}
                is_told = {one: items for one, items in said.items() if items}
                assert await pulled(client, **asked) == is_told
                assert await exported(client, **asked) == is_told
                tiers.update(item["tier"] for answer in answers.values() for item in answer["recommendations"])
                some = range(0, world.users, world.one_in)
                expected = {user_id: said[user_id] for user_id in some}
                assert await looked_up(client, some, **asked) == expected
                assert await over_grpc(stub, some, channel, kind) == expected

    asyncio.run(scene())
    assert tiers == {Tier.PERSONAL.value, Tier.SEGMENT.value, Tier.POPULAR.value, Tier.STATIC.value}


def test_of_whose_list_has_the_product_an_audience_is_who_is_shown_it_alone_and_it_finds_others_too(
    world: World, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with interfaces(_settings(world, tmp_path)) as (client, _):
            others = [one for one in PRODUCTS if one != PRODUCT]
            answers = await batched(client, world.users, channel="crm", top_k=1, exclude=others)
            made = (await client.post("/api/v1/audiences", json={"product_id": PRODUCT, "size": world.users})).json()
            lines = (await client.get(f"/api/v1/audiences/{made['id']}/members")).content.splitlines()
            members = {int(one["user_id"]): one["score"] for one in map(orjson.loads, lines[:-1])}
            asked = {
                user_id: [item["score"] for item in answer["recommendations"] if item["tier"] == "personal"]
                for user_id, answer in answers.items()
                if answer["variant"] == "personal"
            }
            assert {one: scores[0] for one, scores in asked.items() if scores} == {
                one: score for one, score in members.items() if one in asked and one not in world.unlisted
            }
            assert world.unlisted & members.keys()
            assert len(members) > world.users // 20

    asyncio.run(scene())


def test_what_is_sent_at_night_waits_for_the_morning_where_each_user_lives_and_what_is_shown_does_not(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = QuietHours(start=time(21), end=time(9), utc_offset=3, regions=dict.fromkeys(range(40), "Asia/Yakutsk"))
    for module in ("api.crowds", "api.audience_rules"):
        policy = contact_policy().model_copy(update={"quiet_hours": hours})
        monkeypatch.setattr(f"{module}.contact_policy", lambda policy=policy: policy)
    morning = {"usual": "2026-03-17T06:00:00Z", "early": "2026-03-17T00:00:00Z"}
    regions = {one: state.region for one, state in states_of(np.random.default_rng(5), world.users).items()}

    def due(user_id: int) -> str:
        return morning["early" if 0 <= regions[user_id] < 40 else "usual"]

    async def scene() -> None:
        async with interfaces(_settings(world, tmp_path)) as (client, _):
            for channel in ("crm", "web"):
                lines = map(orjson.loads, (await client.get(URL, params={"channel": channel})).content.splitlines())
                told = {int(one["user_id"]): one["send_after"] for one in lines if "user_id" in one}
                assert told == {one: due(one) if channel == "crm" else None for one in told}
            for name in ("csv", "parquet"):
                export = await written(client, channel="crm", format=name)
                (file,) = Path(export["uri"]).rglob("part-*")
                kept = await client.get(f"/api/v1/exports/{export['export_id']}/files/{export['files'][0]}")
                assert sent_after(kept.content, name) == sent_after(file.read_bytes(), name) != {}
                assert all(moment == due(one) for one, moment in sent_after(kept.content, name).items())
                assert (await client.post(f"/api/v1/exports/{export['export_id']}/cancel")).status_code == 200
            made = (await client.post("/api/v1/audiences", json={"product_id": PRODUCT, "size": world.users})).json()
            members = (await client.get(f"/api/v1/audiences/{made['id']}/members?format=csv")).text.splitlines()[1:-1]
            rows = [line.split(",") for line in members]
            assert {row[4] for row in rows} == set(morning.values())
            assert all(row[4] == due(int(row[2])) for row in rows)

    asyncio.run(scene())


def sent_after(file: bytes, format_: str) -> dict[int, str]:
    if format_ == "csv":
        return {int(row["user_id"]): row["send_after"] for row in csv.DictReader(file.decode().splitlines())}
    found = pq.read_table(io.BytesIO(file), columns=["user_id", "send_after"]).to_pylist()
    return {row["user_id"]: f"{row['send_after']:%Y-%m-%dT%H:%M:%SZ}" for row in found}


def _settings(world: World, folder: Path) -> Settings:
    return Settings(
        data_dir=folder,
        clickhouse_url=world.address.url,
        clickhouse_database=world.address.database,
        max_snapshot_age_days=36_500,
        lookup_deadline_ms=60_000,
        lists_chunk_users=700,
        grpc_port=0,
        experiments=folder_of(folder / "tried", {"arms": ARMS}),
    )
