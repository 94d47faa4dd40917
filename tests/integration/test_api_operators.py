"""Operators over HTTP on a real ClickHouse, and what look-ups do while that one refuses to work."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import pytest

from api.app import create_app
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.local.clickhouse.testing import clickhouse_url
from infra.tokens import ensure_issuer, issue
from sql.client import Address, connected
from sql.pointer import current, moves
from sql.rules import blocks
from tests.day_snapshots import serve
from tests.day_world import ALICE, FIRST, NOW, SECOND

__all__ = ["clickhouse_url"]


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A database of its own with two snapshots, the first one published."""
    mine = Address(url=clickhouse_url, database="operators")
    serve(mine, tmp_path_factory, FIRST, SECOND, current=FIRST)
    yield mine


def bearer(settings: Settings, client: str, *scopes: Scope) -> dict[str, str]:
    token = issue(settings, scopes=scopes, client=client, seconds=60, now=NOW.timestamp())
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def service(address: Address, folder: Path, *scopes: Scope) -> AsyncIterator[httpx.AsyncClient]:
    """The service, and a client whose token has these scopes."""
    settings = Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        clickhouse_database=address.database,
        auth="on",
        pointer_poll_seconds=0.02,
        lookup_deadline_ms=5_000,
        breaker_retry_seconds=0.1,
    )
    ensure_issuer(settings)
    token = bearer(settings, "back-office", *scopes)["Authorization"]
    app = create_app(settings, clock=lambda: NOW)
    headers = {"Authorization": token}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client,
    ):
        yield client


async def answer(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/api/v1/recommendations", params={"user_id": str(ALICE), "channel": "web"})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def until(client: httpx.AsyncClient, name: str, value: Any) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (found := await answer(client))[name] != value:
            await asyncio.sleep(0.02)
        return found


def test_an_operator_publishes_and_goes_back_and_the_moves_name_the_client(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(address, tmp_path, Scope.SNAPSHOTS_WRITE, Scope.RECOMMENDATIONS_READ) as client:
            done = await client.post(f"/api/v1/snapshots/{SECOND}/publish", json={"why": "approved'; DROP TABLE x --"})
            assert done.json() == {"snapshot_id": SECOND, "action": "publish"}
            await until(client, "snapshot_id", SECOND)
            assert (await client.post(f"/api/v1/snapshots/{FIRST}/rollback")).status_code == 200
            await until(client, "snapshot_id", FIRST)
            unknown = await client.post("/api/v1/snapshots/2020-01-01.1/publish")
            assert (unknown.status_code, unknown.headers["content-type"]) == (422, "application/problem+json")
            assert (await client.post("/api/v1/blocks", json={"item_id": "loan_cash"})).status_code == 403

    asyncio.run(scene())
    with connected(address) as store:
        assert current(store) == FIRST
        assert [(move.actor, move.why) for move in moves(store)[-2:]] == [
            ("back-office", "approved'; DROP TABLE x --"),
            ("back-office", ""),
        ]


def test_a_block_by_an_operator_holds_until_it_is_ended(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(address, tmp_path, Scope.RULES_WRITE, Scope.RECOMMENDATIONS_READ) as client:
            before = await answer(client)
            first = before["recommendations"][0]["product_id"]
            order = {"item_id": first, "why": "compliance 481"}
            stopped = await client.post("/api/v1/blocks", json=order)
            assert stopped.json() == {"item_id": first, "blocked": True, "asked_by": None}
            with connected(address) as store:
                assert [(one.item_id, one.actor) for one in blocks(store)] == [(first, "back-office")]
            async with asyncio.timeout(20):
                while first in {item["product_id"] for item in (await answer(client))["recommendations"]}:
                    await asyncio.sleep(0.02)
            end, colleague = {**order, "blocked": False}, bearer(Settings(data_dir=tmp_path), "risk", Scope.RULES_WRITE)
            for _ in range(2):  # asking twice is no second person
                asked = await client.post("/api/v1/blocks", json=end)
                assert asked.json() == {"item_id": first, "blocked": True, "asked_by": "back-office"}
            told = (await client.get("/api/v1/blocks")).json()
            assert [one["item_id"] for one in told["blocks"]] == [one["item_id"] for one in told["waiting"]] == [first]
            agreed = await client.post("/api/v1/blocks", json=end, headers=colleague)
            assert agreed.json() == {"item_id": first, "blocked": False, "asked_by": None}
            assert (await client.get("/api/v1/blocks")).json() == {"blocks": [], "waiting": []}
            await until(client, "policy_hash", before["policy_hash"])
            assert (await client.post("/api/v1/blocks", json=end)).status_code == 422
            unknown = await client.post("/api/v1/blocks", json={"item_id": "no such ' item"})
            assert unknown.status_code == 422
            assert (await client.post(f"/api/v1/snapshots/{FIRST}/publish")).status_code == 403

    asyncio.run(scene())


def test_a_clickhouse_that_answers_with_errors_leaves_memory_until_it_works_again(
    address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with service(address, tmp_path, Scope.RECOMMENDATIONS_READ) as client:
            await until(client, "tier", "personal")
            admin = clickhouse_connect.get_client(dsn=address.url, database=address.database)
            admin.command("RENAME TABLE user_rows TO user_rows_away")
            try:
                broken = [await answer(client) for _ in range(10)]
            finally:
                admin.command("RENAME TABLE user_rows_away TO user_rows")
            assert {(one["tier"], one["snapshot_id"]) for one in broken} == {("static", FIRST)}
            assert all(one["recommendations"] for one in broken)
            assert b"recs_breaker_open 1.0" in (await client.get("/metrics")).content
            await until(client, "tier", "personal")

    asyncio.run(scene())
