"""Everybody's lists on a real ClickHouse: the answers of every other interface, whole, resumable, on one snapshot."""

import asyncio
import csv
import io
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.app import create_app
from api.bulk_chunks import columns_checksum
from api.grpc import running_grpc
from data_contracts import recommendation_pb2 as pb
from data_contracts.recommendation_pb2_grpc import RecommendationServiceStub
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Kind, Variant
from sql.client import Address, connected
from sql.pointer import publish
from sql.rules import block, unblock
from tests.bulk_world import USERS
from tests.day_world import FIRST, NOW, SECOND
from tests.experiment_samples import folder_of

URL = "/api/v1/lists"
Record = dict[str, Any]


def _settings(address: Address, folder: Path, **more: Any) -> Settings:
    return Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        pointer_poll_seconds=0.02,
        lookup_deadline_ms=60_000,
        grpc_port=0,
        **{"lists_chunk_users": 50, **more},
    )


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, clock=lambda: NOW)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield client


async def pulled(client: httpx.AsyncClient, **params: Any) -> bytes:
    response = await client.get(URL, params={"channel": "crm", **params})
    assert response.status_code == 200, response.text
    return response.content


def records(body: bytes) -> tuple[list[Record], list[str], Record]:
    """Lists, cursors, and what the last record tells; every line of NDJSON is one of them."""
    told = [orjson.loads(line) for line in body.splitlines()]
    lists = [one for one in told if "user_id" in one]
    cursors = [one["cursor"] for one in told if "cursor" in one]
    ((end,), *_) = [[one["end"] for one in told if "end" in one]]
    assert len(lists) + len(cursors) + 1 == len(told)
    return lists, cursors, end


def checksum_of(body: bytes) -> int:
    return zlib.crc32(b"".join(one for one in body.splitlines(keepends=True) if one.startswith(b'{"user_id"')))


def shown(items: list[Record]) -> list[tuple[str, float | None, str]]:
    return [(item.get("product_id") or item["item_id"], item["score"], item["tier"]) for item in items]


def test_an_arms_users_are_pulled_with_the_lists_that_look_ups_answer(bulk_address: Address, tmp_path: Path) -> None:
    shares = {Variant.PERSONAL: 0.3, Variant.UPLIFT: 0.5, Variant.SEGMENT: 0.2}
    arms = {name.value: {"share": share, "variant": name.value} for name, share in shares.items()}
    settings = _settings(
        bulk_address, tmp_path, max_snapshot_age_days=36_500, experiments=folder_of(tmp_path / "tried", {"arms": arms})
    )

    async def scene() -> None:
        async with service(settings) as client:
            for kind in Kind:
                asked = {"channel": "web", "kind": kind.value, "top_k": 9}
                body = {"user_ids": [str(one) for one in range(0, 3 * USERS, 3)], **asked}
                answers = (await client.post("/api/v1/recommendations/batch", json=body)).json()["answers"]
                lists, *_ = records(await pulled(client, **asked))
                bulk = {int(one["user_id"]): one["items"] for one in lists}
                for answer in answers:
                    listed = bulk.get(int(answer["user_id"]), [])
                    assert shown(listed) == shown(answer["recommendations"]), answer
                told = {answer["variant"] for answer in answers}
                assert told == {"personal", "segment", *(["uplift"] if kind is Kind.PRODUCT else [])}

    asyncio.run(scene())


@pytest.mark.parametrize("is_outdated", [False, True])
def test_every_interface_gives_everybody_the_same(bulk_address: Address, tmp_path: Path, is_outdated: bool) -> None:
    """Single look-ups of some; batch, gRPC and the pull of all, in every channel, of both kinds, under a block."""
    settings = _settings(bulk_address, tmp_path, max_snapshot_age_days=0.1 if is_outdated else 36_500)
    users, tiers = list(range(0, 3 * USERS, 3)), set()
    channels = [Channel.MOBILE] if is_outdated else [Channel.CRM, Channel.WEB]

    async def by_batch(client: httpx.AsyncClient, asked: Record) -> list[Record]:
        body = {"user_ids": [str(one) for one in users], **asked}
        while True:
            is_ready = await ready(client)
            answers: list[Record] = (await client.post("/api/v1/recommendations/batch", json=body)).json()["answers"]
            if is_ready and await ready(client):
                return answers

    async def ready(client: httpx.AsyncClient) -> bool:
        """A machine that is so busy that ClickHouse seems to be away answers from memory meanwhile."""
        return bool((await client.get("/readyz")).json()["tier"] != "static")

    async def scene() -> None:
        async with (
            service(settings) as client,
            running_grpc(settings.model_copy(update={"data_dir": tmp_path / "grpc"}), clock=lambda: NOW) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as wire,
        ):
            stub = RecommendationServiceStub(wire)
            for channel, kind in [(channel, kind) for channel in channels for kind in Kind]:
                asked = {"channel": channel.value, "kind": kind.value, "top_k": 4}
                lists, *_ = records(await pulled(client, **asked))
                bulk = {int(one["user_id"]): one for one in lists}
                answers = await by_batch(client, asked)
                for user_id, answer in zip(users, answers, strict=True):
                    listed = bulk.get(user_id, {"items": [], "tier": answer["tier"]})
                    assert shown(listed["items"]) == shown(answer["recommendations"]), user_id
                    assert listed["tier"] == answer["tier"]
                    tiers.add(answer["tier"])
                    told = [[reason["code"] for reason in item["reasons"]] for item in answer["recommendations"]]
                    assert [item["reasons"] for item in listed["items"]] == told or any(0 in one for one in told)
                for user_id, answer in list(zip(users, answers, strict=True))[::20]:
                    single = await client.get("/api/v1/recommendations", params={"user_id": user_id, **asked})
                    assert shown(single.json()["recommendations"]) == shown(answer["recommendations"])
                    request = pb.RecommendRequest(
                        user_id=user_id,
                        channel=f"CHANNEL_{channel.name}",
                        kind=f"KIND_{kind.name}",
                        top_k=4,
                    )
                    reply = await stub.GetRecommendations(request)
                    assert [one.product_id for one in reply.recommendations] == [
                        one["product_id"] for one in answer["recommendations"]
                    ]

    with connected(bulk_address) as store:
        block(store, "card_gold", actor="test", why="a test")
    try:
        asyncio.run(scene())
    finally:
        with connected(bulk_address) as store:
            unblock(store, "card_gold", actor="test", why="a test")
    assert tiers >= ({"segment", "popular"} if is_outdated else {"personal", "segment", "popular"})


def test_all_formats_say_the_same_and_prove_that_they_are_whole(bulk_address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(_settings(bulk_address, tmp_path)) as client:
            body = await pulled(client)
            lists, cursors, end = records(body)
            rows = list(csv.reader(io.StringIO((await pulled(client, format="csv")).decode(), newline="")))
            arrow = await pulled(client, format="arrow")
            parquet = await pulled(client, format="parquet")
            by_encoding = {}
            for codec in ("gzip", "zstd"):
                given = await client.get(URL, params={"channel": "crm"}, headers={"Accept-Encoding": codec})
                assert given.headers["content-encoding"] == codec
                by_encoding[codec] = given
        assert len(cursors) == -(-USERS // 50)
        assert (end["users"], end["lists"]) == (USERS, len(lists))
        assert end["items"] == sum(len(one["items"]) for one in lists)
        assert end["crc32"] == checksum_of(body)
        assert {one.content == body for one in by_encoding.values() if one.headers["content-encoding"] == "gzip"} == {
            True
        }

        flat = [(one["user_id"], str(n), *item.values()) for one in lists for n, item in enumerate(one["items"], 1)]
        assert [
            (user, rank, item, float(score) if score else None, tier, [int(code) for code in reasons.split()])
            for record, user, rank, item, score, tier, reasons, _ in rows
            if record == "list"
        ] == flat
        assert {len(row) for row in rows} == {8}
        assert orjson.loads(rows[-1][3]) | {"crc32": 0} == end | {"crc32": 0}

        checksum, batches, told = 0, [], {}
        with pa.ipc.open_stream(arrow) as stream:
            while True:
                try:
                    batch, metadata = stream.read_next_batch_with_custom_metadata()
                except StopIteration:
                    break
                checksum = columns_checksum(batch, checksum)
                batches.append(batch)
                told = dict(metadata)
        assert orjson.loads(told[b"end"])["crc32"] == checksum
        table = pa.Table.from_batches(batches)
        listed = [(str(row["user_id"]), row["item_ids"], row["scores"], row["tiers"]) for row in table.to_pylist()]
        assert listed == [
            (one["user_id"], *([item[name] for item in one["items"]] for name in ("item_id", "score", "tier")))
            for one in lists
        ]
        file = pq.ParquetFile(io.BytesIO(parquet))
        assert file.read().to_pylist() == table.to_pylist()
        assert orjson.loads(file.metadata.metadata[b"end"]) == orjson.loads(told[b"end"])

    asyncio.run(scene())


def test_shards_are_disjoint_and_together_everybody(bulk_address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(_settings(bulk_address, tmp_path)) as client:
            whole, _, end = records(await pulled(client))
            shards = [records(await pulled(client, shard=f"{number}/3")) for number in range(3)]
            assert sum(told["users"] for _, _, told in shards) == end["users"]
            assert min(len(lists) for lists, *_ in shards) > 0
            together = sorted((one for lists, *_ in shards for one in lists), key=lambda one: int(one["user_id"]))
            assert together == whole
            segments = [records(await pulled(client, segment=number)) for number in range(4)]
            assert sum(told["users"] for _, _, told in segments) == end["users"]

    asyncio.run(scene())


def test_a_pull_that_broke_goes_on_with_its_snapshot_though_the_pointer_moved(
    bulk_address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with service(_settings(bulk_address, tmp_path)) as client:
            body = await pulled(client)
            lists, cursors, end = records(body)
            with connected(bulk_address) as store:
                publish(store, SECOND, actor="test")
            while records(await pulled(client))[2]["snapshot_id"] != SECOND:
                await asyncio.sleep(0.02)
            assert records(await pulled(client))[0] != lists
            seen = body[: body.index(cursors[1].encode())].count(b'{"user_id"')
            rest, _, told = records(await pulled(client, cursor=cursors[1]))
            assert lists[:seen] + rest == lists
            assert told == end
            assert records(await pulled(client, snapshot=FIRST))[0] == lists

            for params, status, field in (
                ({"cursor": cursors[1], "top_k": 2}, 422, "cursor"),
                ({"cursor": cursors[1][:-1] + "x"}, 422, "cursor"),
                ({"cursor": cursors[1], "snapshot": SECOND}, 422, "snapshot"),
                ({"snapshot": "2020-01-01.1"}, 404, "snapshot"),
                ({"shard": "3/3"}, 422, "shard"),
            ):
                refused = await client.get(URL, params={"channel": "crm", **params})
                assert (refused.status_code, refused.json()["errors"][0]["field"]) == (status, field)
        hours = _settings(bulk_address, tmp_path, lists_cursor_hours=1e-9)
        app_clock = NOW.replace(hour=10)
        app = create_app(hours, clock=lambda: app_clock)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client,
        ):
            gone = await client.get(URL, params={"channel": "crm", "cursor": cursors[1]})
            assert gone.status_code == 410
            assert "without a cursor" in gone.json()["detail"]

    try:
        asyncio.run(scene())
    finally:
        with connected(bulk_address) as store:
            publish(store, FIRST, actor="test")


def test_more_pulls_than_may_run_are_told_to_come_again(bulk_address: Address, tmp_path: Path) -> None:
    settings = _settings(bulk_address, tmp_path, lists_pulls=1)

    async def scene() -> None:
        app = create_app(settings, clock=lambda: NOW)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api") as client,
        ):
            async with app.state.pulls.one():
                busy = await client.get(URL, params={"channel": "crm"})
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "30")
            assert records(await pulled(client))[2]["users"] == USERS

    asyncio.run(scene())
