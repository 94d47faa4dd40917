"""Explanations on a real ClickHouse, of answers whose snapshot, events and rules have changed since."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.explanation_models import Explanation
from api.store import Lists
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF, EventRow, micros, row_of
from data_contracts.rec_id import RecId
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel
from infra.local.clickhouse.testing import clickhouse_url
from sql.client import Address, connected
from sql.migrate import migrate
from sql.pointer import publish
from sql.retention import drop_old
from sql.rules import block, put_rule_set
from sql.user_events import put_events
from tests.day_snapshots import load_snapshot
from tests.day_world import ALICE, BOB, CATALOGUE, REASONS, RULES, ranked

__all__ = ["clickhouse_url"]
# ClickHouse stamps rules and events with its own clock, so this world is of today.
TODAY = datetime.now(UTC).date()
FIRST, SECOND = (f"{TODAY - timedelta(days=days)}.1" for days in (2, 1))
OTHER_LISTS = {ALICE: Lists(ranked("mortgage_new"), ranked("offer_b"))}
KEY = b"development-only"


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    mine = Address(url=clickhouse_url, database="explanations")
    migrate(mine)
    with connected(mine) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        load_snapshot(store, tmp_path_factory.mktemp("first"), snapshot_id=FIRST)
        load_snapshot(store, tmp_path_factory.mktemp("second"), snapshot_id=SECOND, lists=OTHER_LISTS)
        publish(store, FIRST, actor="test")
    yield mine


@asynccontextmanager
async def service(
    address: Address, folder: Path, *, ahead: timedelta = timedelta()
) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        clickhouse_database=address.database,
        auth="off",
        pointer_poll_seconds=0.02,
        lookup_deadline_ms=20_000,
    )
    app = create_app(settings, clock=lambda: datetime.now(UTC) + ahead)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=60) as client,
    ):
        async with asyncio.timeout(20):
            while (await client.get("/readyz")).json()["snapshot_id"] is None:
                await asyncio.sleep(0.02)
        yield client


def happened(topic: str, event_type: str, item_id: str) -> EventRow:
    moment = micros(datetime.now(UTC)) - 1_000_000
    return EventRow(
        ALICE, moment, topic, event_type, f"{event_type}-{item_id}", item_id, "web", "", MAX_CUT_OFF, FOR_GOOD
    )


def feedback_row(event_type: str, *, rec_id: str) -> EventRow:
    """As the overlay's writer makes it of feedback that names no product."""
    now = micros(datetime.now(UTC))
    event = {
        "event_id": rec_id[:8],
        "event_time": now,
        "user_id": ALICE,
        "event_type": event_type,
        "channel": "web",
        "rec_id": rec_id,
    }
    row = row_of("recommendation.feedback", event, arrived=now, skew=0)
    assert row is not None
    return row


async def answer(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    asked = {"user_id": ALICE, "channel": "mobile", **params}
    response = await client.get("/api/v1/recommendations", params=asked)
    found: dict[str, Any] = response.json()
    assert found["tier"] == "personal", found
    return found


async def explained(client: httpx.AsyncClient, rec_id: str) -> Explanation:
    """As soon as the answer is logged."""
    async with asyncio.timeout(30):
        while (response := await client.get(f"/api/v1/explanations/{rec_id}")).status_code == 404:
            await asyncio.sleep(0.1)
    assert response.status_code == 200, response.text
    return Explanation.model_validate_json(response.content)


def ids(given: dict[str, Any]) -> list[str]:
    return [item["product_id"] for item in given["recommendations"]]


def test_an_answer_is_explained_as_it_was_whatever_came_after_until_its_snapshot_is_dropped(
    address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        with connected(address) as store:
            put_events(store, [happened("recommendation.feedback", "dismissed", "insurance_travel")])
            put_events(store, [happened("digital.telemetry", "product_view", "card_gold")])
            async with service(address, tmp_path) as client:
                given = await answer(client, top_k=3, exclude="deposit_year")
                before = await explained(client, given["rec_id"])
                assert [one.item_id for one in before.shown] == ids(given)
                assert before.agrees and before.policy.is_rebuilt and before.policy.is_todays and not before.notes
                assert before.events == 2
                first = next(one for one in before.shown if one.item_id == "loan_cash")
                assert (first.listed_at, [reason.code for reason in first.reasons]) == (1, [1, 2])
                assert next(one.boost for one in before.shown if one.item_id == "card_gold") == pytest.approx(0.8, 0.01)
                assert {one.item_id: one.rule for one in before.dropped} == {
                    "mortgage_new": "prohibited_with_placed",
                    "card_debit": "held",
                    "cashback_all": "channel",
                    "insurance_travel": "suppressed",
                    "deposit_year": "not_wished",
                }

                placed = {
                    "context.placement": "feed",
                    "context.cart": "loan_cash",
                    "context.search": "travel insurance",
                }
                mixed = await answer(client, **placed)
                assert {item["kind"] for item in mixed["recommendations"]} == {"product", "offer"}
                here = await explained(client, mixed["rec_id"])
                assert here.agrees and [one.item_id for one in here.shown] == ids(mixed)
                assert (here.kind, here.context.search_family, here.context.cart) == (None, "insurance", ["loan_cash"])
                card = next(one for one in here.shown if one.item_id == "card_gold")
                assert (card.boost, card.context_boost) == (pytest.approx(0.8, 0.01), 0.0)

                # Another snapshot, a stop and another event: the explanation stays, but for what holds today.
                publish(store, SECOND, actor="test")
                block(store, "loan_cash", actor="test", why="a test")
                put_events(store, [happened("recommendation.feedback", "dismissed", "card_gold")])
                async with asyncio.timeout(20):
                    while (later := await answer(client, top_k=3))["policy_hash"] == given["policy_hash"] or (
                        later["snapshot_id"] != SECOND
                    ):
                        await asyncio.sleep(0.02)
                after = await explained(client, given["rec_id"])
                kept = {"shown", "dropped", "agrees", "events", "snapshot_id"}
                assert after.model_dump(include=kept) == before.model_dump(include=kept)
                assert after.policy.is_rebuilt and not after.policy.is_todays
                assert after.notes == ["the rules have changed since this answer"]
                now = await explained(client, later["rec_id"])
                assert now.agrees and {one.item_id: one.rule for one in now.dropped}["card_debit"] == "held"

                # The whole list is dismissed: what it showed is out, of its products and of its offers.
                whole = await answer(client, top_k=3, **placed)
                assert (await explained(client, whole["rec_id"])).agrees
                put_events(store, [feedback_row("dismissed", rec_id=whole["rec_id"])])
                response = await client.get(
                    "/api/v1/recommendations", params={"user_id": ALICE, "channel": "mobile", **placed}
                )
                left = response.json()
                assert ids(whole) and not set(ids(whole)) & set(ids(left))
                reasoned = await explained(client, left["rec_id"])
                assert reasoned.agrees
                out = {one.item_id for one in reasoned.dropped if one.rule == "suppressed"}
                assert set(ids(whole)) <= out

                assert drop_old(store, keep=1) == (FIRST,)
                gone = await client.get(f"/api/v1/explanations/{given['rec_id']}")
                assert (gone.status_code, gone.headers["content-type"]) == (410, "application/problem+json")
                assert FIRST in gone.json()["detail"]
            async with service(address, tmp_path, ahead=timedelta(days=31)) as client:
                past = await client.get(f"/api/v1/explanations/{later['rec_id']}")
                assert (past.status_code, "30 days" in past.json()["detail"]) == (410, True)

    asyncio.run(scene())


def test_a_forged_id_and_one_that_was_never_logged_are_told_apart(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(address, tmp_path) as client:
            rec_id = RecId(Channel.WEB, FIRST, "00" * 8, datetime.now(UTC)).signed(user_id=ALICE, key=KEY)
            forged = RecId(Channel.WEB, FIRST, "00" * 8, datetime.now(UTC)).signed(user_id=ALICE, key=b"another")
            statuses = [
                (await client.get(f"/api/v1/explanations/{one}", params=params)).status_code
                for one, params in (
                    (rec_id, {"user_id": ALICE}),  # ours, and not logged
                    (rec_id, {"user_id": BOB}),  # somebody else's
                    (forged, {"user_id": ALICE}),
                    ("nonsense", {}),
                    (rec_id[:-1], {}),
                    (rec_id, {}),
                )
            ]
            assert statuses == [404, 422, 422, 422, 422, 404]

    asyncio.run(scene())
