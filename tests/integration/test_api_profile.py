"""Profiles on a real ClickHouse: the snapshot's row, and what events changed since."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.profile_models import Profile
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF, EventRow, micros
from data_contracts.scores import dequantise
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.local.clickhouse.testing import clickhouse_url
from infra.tokens import ensure_issuer, issue
from sql.client import Address, connected
from sql.user_events import put_events
from tests.day_snapshots import serve
from tests.day_world import ALICE, DAVE, FIRST, NOW, STRANGER

__all__ = ["clickhouse_url"]
NEWCOMER = 77


def happened(user_id: int, topic: str, event_type: str, *, item_id: str = "", channel: str = "", ago: int) -> EventRow:
    return EventRow(
        user_id=user_id,
        event_time=micros(NOW - timedelta(minutes=ago)),
        topic=topic,
        event_type=event_type,
        event_id=f"{topic}-{ago}",
        item_id=item_id,
        channel=channel,
        family="",
        last_cut_off=MAX_CUT_OFF,
        expires_at=FOR_GOOD,
    )


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    mine = Address(url=clickhouse_url, database="profiles")
    serve(mine, tmp_path_factory, FIRST, current=FIRST)
    events = [
        happened(ALICE, "bank.product_events", "opened", item_id="deposit_year", ago=30),
        happened(ALICE, "bank.product_events", "closed", item_id="card_debit", ago=20),
        happened(ALICE, "recommendation.feedback", "opted_out", channel="crm", ago=10),
        happened(NEWCOMER, "digital.telemetry", "product_view", item_id="card_gold", ago=5),
    ]
    with connected(mine) as store:
        put_events(store, events)
        put_events(store, events)  # delivered twice
    yield mine


@asynccontextmanager
async def service(address: Address, folder: Path, scope: Scope) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        clickhouse_database=address.database,
        auth="on",
        pointer_poll_seconds=0.02,
    )
    ensure_issuer(settings)
    token = issue(settings, scopes=[scope], client="desk", seconds=60, now=NOW.timestamp())
    app = create_app(settings, clock=lambda: NOW)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://api",
            headers={"Authorization": f"Bearer {token}"},
        ) as client,
    ):
        async with asyncio.timeout(20):
            while (await client.get("/readyz")).json()["tier"] != "personal":
                await asyncio.sleep(0.02)
        yield client


def asked(address: Address, folder: Path, *users: object, scope: Scope = Scope.PROFILES_READ) -> list[httpx.Response]:
    async def scene() -> list[httpx.Response]:
        async with service(address, folder, scope) as client:
            return [await client.get(f"/api/v1/users/{user}/profile") for user in users]

    return asyncio.run(scene())


def test_a_profile_is_the_snapshots_row_with_what_events_changed_since(address: Address, tmp_path: Path) -> None:
    (response,) = asked(address, tmp_path, ALICE)
    assert response.status_code == 200, response.text
    found = Profile.model_validate_json(response.content)
    assert (found.user_id, found.snapshot_id, found.segment, found.is_known) == (ALICE, FIRST, 1, True)
    assert [(one.product_id, one.seen_in) for one in found.holdings] == [("deposit_year", "events")]
    assert found.consents.model_dump() == {"mobile": True, "web": True, "crm": False, "profiling": True}
    assert (found.attributes.birth_year, found.attributes.region, found.attributes.employment) == (1990, None, None)
    assert [one.item_id for one in found.top_products] == ["loan_cash", "mortgage_new", "card_debit", "card_gold"]
    assert found.top_products[0].score == pytest.approx(dequantise(40_000), rel=1e-5)
    assert found.top_products[0].reason_codes == [1, 2]
    assert [one.event_type for one in found.recent_events] == ["opted_out", "closed", "opened"]
    assert found.recent_events[1].item_id == "card_debit"


def test_who_is_only_in_behaviour_or_only_in_events_has_a_profile_of_nulls(address: Address, tmp_path: Path) -> None:
    dave, newcomer = (
        Profile.model_validate_json(response.content) for response in asked(address, tmp_path, DAVE, NEWCOMER)
    )
    assert (dave.is_known, dave.holdings, dave.top_products) == (False, [], [])
    assert (newcomer.segment, newcomer.is_known) == (None, False)
    assert [one.item_id for one in newcomer.recent_events] == ["card_gold"]


def test_nobody_and_no_number_are_problems_and_so_is_the_wrong_scope(address: Address, tmp_path: Path) -> None:
    unknown, wrong = asked(address, tmp_path, STRANGER, "1' OR '1'='1")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    assert wrong.status_code == 422
    (refused,) = asked(address, tmp_path, ALICE, scope=Scope.RECOMMENDATIONS_READ)
    assert refused.status_code == 403
