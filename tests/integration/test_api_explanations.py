"""Explanations on a real ClickHouse, of answers whose snapshot, events and rules have changed since."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.explanation_models import Explanation
from api.store import Lists
from data_contracts.experiments import drawn
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF, EventRow, micros, row_of
from data_contracts.rec_id import RecId
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Kind, Variant
from infra.local.clickhouse.testing import clickhouse_url
from sql.client import Address, Store, connected
from sql.migrate import migrate
from sql.pointer import publish
from sql.retention import drop_old
from sql.rules import block, put_rule_set
from sql.user_events import clear_mirrored, put_events
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
    address: Address, folder: Path, *, ahead: timedelta = timedelta(), **more: Any
) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        clickhouse_database=address.database,
        auth="off",
        pointer_poll_seconds=0.02,
        lookup_deadline_ms=20_000,
        **more,
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


def running_everybody_in(folder: Path, arm: str) -> Path:
    """Experiments as they are configured at a time: all users are in one arm, by its variant's name."""
    folder.mkdir()
    (folder / "lists.yaml").write_text(
        f"""
name: lists_{arm}
salt: {arm}
layer: lists
kinds: [product]
arms: {{control: {{share: 1.0e-12}}, {arm}: {{share: 0.999999999999, variant: {arm}}}}}
start: {TODAY - timedelta(days=9)}
end: {TODAY + timedelta(days=9)}
"""
    )
    return folder


def drawn_snapshot(day: date, *, items: int) -> str:
    """An attempt of a night of which Alice's answer has two neighbours change places."""
    names = (f"{day}.{attempt}" for attempt in range(1, 1_000))
    kinds = [Kind.PRODUCT] * items
    return next(
        name for name in names if drawn(kinds, share=0.2, user_id=ALICE, snapshot_id=name).order != list(range(items))
    )


async def events_end(store: Store, client: httpx.AsyncClient, *, after: datetime) -> None:
    """All events count until just after a moment, and the engine has cleaned up since."""
    store.run_text(
        "ALTER TABLE user_events UPDATE expires_at = toDateTime({end:UInt32}, 'UTC') WHERE 1 "
        "SETTINGS mutations_sync = 2",
        what="the test's clock",
        end=int(after.timestamp()) + 1,
    )
    clear_mirrored(store)
    async with asyncio.timeout(60):
        while (await explained(client, (await asked(client))["rec_id"])).events:
            await asyncio.sleep(0.2)
    store.run_text("OPTIMIZE TABLE user_events FINAL", what="the test's merge")


async def asked(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (
        await client.get("/api/v1/recommendations", params={"user_id": ALICE, "channel": "mobile", "top_k": 3})
    ).json()
    return found


def test_an_explanation_outlives_other_experiments_the_end_of_events_and_a_rollback(
    clickhouse_url: str, tmp_path: Path
) -> None:
    first, second = drawn_snapshot(TODAY - timedelta(days=2), items=3), SECOND
    uplift = Lists(ranked("card_gold", "mortgage_new", "loan_cash", "card_debit"), ranked())
    lists = {ALICE: Lists(ranked("loan_cash", "savings_daily"), ranked("offer_a"), {Variant.UPLIFT: uplift})}
    address = Address(url=clickhouse_url, database="explanations_then")
    migrate(address)
    then = {"experiments": running_everybody_in(tmp_path / "then", "uplift"), "exploration_share": 0.2}
    now = {"experiments": running_everybody_in(tmp_path / "now", "segment"), "exploration_share": 0.0}
    told = {"shown", "dropped", "agrees", "events", "snapshot_id", "tier", "variant", "experiment"}

    async def scene() -> None:
        with connected(address) as store:
            put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
            load_snapshot(store, tmp_path / "first", snapshot_id=first, lists=lists)
            load_snapshot(store, tmp_path / "second", snapshot_id=second, lists=OTHER_LISTS)
            publish(store, first, actor="test")
            put_events(store, [happened("recommendation.feedback", "dismissed", "insurance_travel")])
            put_events(store, [happened("digital.telemetry", "product_view", "mortgage_new")])
            async with service(address, tmp_path / "day", **then) as client:
                given = await asked(client)
                before = await explained(client, given["rec_id"])
                assert before.variant == given["variant"] == Variant.UPLIFT
                assert before.experiment and before.experiment.model_dump() == given["experiment"]
                assert (before.agrees, before.events, len(before.shown)) == (True, 2, 3)
                assert [note[:29] for note in before.notes] == ["two neighbours changed places"]
                rules = {one.item_id: one.rule for one in before.dropped}
                assert rules["insurance_travel"] == "suppressed"
                assert rules["loan_cash"] == "prohibited_with_placed"
                assert any(one.boost > 0.7 for one in before.shown)

                # Stored as the answer was written, after its events were read: it knew nothing of it.
                put_events(store, [happened("recommendation.feedback", "dismissed", before.shown[0].item_id)])
                store.run_text(
                    "ALTER TABLE user_events UPDATE stored_at = fromUnixTimestamp64Micro({at:Int64}, 'UTC') "
                    "WHERE item_id = {item_id:String} AND event_type = 'dismissed' SETTINGS mutations_sync = 2",
                    what="the test's clock",
                    at=micros(datetime.fromisoformat(before.timestamp)) - 10,
                    item_id=before.shown[0].item_id,
                )
                assert (await explained(client, given["rec_id"])).model_dump(include=told) == before.model_dump(
                    include=told
                )

            block(store, "card_gold", actor="test", why="a test")
            publish(store, second, actor="test")
            async with service(address, tmp_path / "day", **now) as client:
                await events_end(store, client, after=datetime.fromisoformat(before.timestamp))
                for published in (second, first):  # a later snapshot, then back
                    publish(store, published, actor="test")
                    async with asyncio.timeout(60):
                        while (today := await asked(client))["snapshot_id"] != published:
                            await asyncio.sleep(0.05)
                    after = await explained(client, given["rec_id"])
                    assert after.model_dump(include=told) == before.model_dump(include=told)
                    assert after.policy.is_rebuilt
                    as_now = await explained(client, today["rec_id"])
                    assert as_now.agrees
                    assert (as_now.events, as_now.variant) == (0, Variant.SEGMENT)
                    assert ids(today) != ids(given)

    asyncio.run(scene())
