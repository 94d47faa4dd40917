"""What each of ClickHouse's users may do, on the real engine with the rights of its role and no others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from data_contracts.errors import InputError
from data_contracts.settings import Settings
from infra.local.clickhouse.running import running_clickhouse
from infra.local.embedded import running_server
from sql.client import Address, Store, connected
from sql.grants import ROLES
from sql.migrate import migrate
from sql.pointer import current, publish
from sql.retention import drop_old
from tests.cloud.clickhouse_of_role import confine
from tests.day_snapshots import load_snapshot, serve
from tests.day_world import ALICE, FIRST, NOW, SECOND

LATER = "2026-03-17.1"
DECIDED = {
    "published_snapshots",
    "rule_sets",
    "blocks",
    "gate_overrides",
    "approvals",
    "proposals",
    "suppressions",
    "suppression_lifts",
}
PULLED = {"audiences", "audience_members", "exports"}
MAY_INSERT = {
    "look_up": {"exposures", "feedback", "user_events", *PULLED},
    "operator": {*DECIDED, "user_events"},
    "overlay": {"user_events", "overlay_writers"},
}
INSERT = "INSERT INTO TABLE_NAME SELECT * FROM TABLE_NAME WHERE 0"
CHANGES = (
    "TRUNCATE TABLE TABLE_NAME",
    "DROP TABLE TABLE_NAME",
    "DELETE FROM TABLE_NAME WHERE 0",
    "ALTER TABLE TABLE_NAME ADD COLUMN x Int8",
    "CREATE TABLE TABLE_NAME_x AS TABLE_NAME",
)


@dataclass(frozen=True)
class Installation:
    """A database that the night has made and filled, which one server at a time opens."""

    folder: Path

    @contextmanager
    def of_role(self, role: str) -> Iterator[Address]:
        assert role in ROLES
        confine(self.folder, role)
        with running_server("tests.cloud.clickhouse_of_role", self.folder) as url:
            yield Address(url)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("roles") / "clickhouse"
    with running_clickhouse(folder) as url:
        serve(Address(url), tmp_path_factory, FIRST, SECOND, current=FIRST)
    return Installation(folder)


def may(store: Store, text: str) -> bool:
    try:
        store.run_text(text, what="a trial")
    except InputError as error:
        if "ACCESS_DENIED" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("role", MAY_INSERT)
def test_a_role_writes_what_it_has_to_and_no_other_table_and_changes_none(installed: Installation, role: str) -> None:
    with installed.of_role(role) as address, connected(address) as store:
        tables = {name for (name,) in store.rows("backup/tables")} if role != "overlay" else {*DECIDED, "feedback"}
        tables |= MAY_INSERT[role]
        assert {one for one in tables if may(store, INSERT.replace("TABLE_NAME", one))} == MAY_INSERT[role]
        for change in CHANGES:
            assert not [table for table in sorted(tables) if may(store, change.replace("TABLE_NAME", table))], change


@asynccontextmanager
async def service(address: Address, folder: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    given = {"auth": "off", "pointer_poll_seconds": 0.02, "lookup_deadline_ms": 5_000, **settings}
    app = create_app(Settings(data_dir=folder, clickhouse_url=address.url, **given), clock=lambda: NOW)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield client


async def answer(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/api/v1/recommendations", params={"user_id": str(ALICE), "channel": "web"})
    found: dict[str, Any] = response.json()
    return found


def test_as_the_look_up_s_user_the_service_answers_and_takes_feedback_and_decides_nothing(
    installed: Installation, tmp_path: Path
) -> None:
    async def scene(address: Address) -> str:
        async with service(address, tmp_path) as client:
            given = await answer(client)
            assert given["tier"] == "personal"
            feedback = {
                "rec_id": given["rec_id"],
                "user_id": str(ALICE),
                "event_type": "click",
                "timestamp": NOW.isoformat(),
                "context": {"product_id": given["recommendations"][0]["product_id"]},
            }
            taken = await client.post("/api/v1/recommendations/feedback", json=feedback)
            assert taken.status_code == 202
            order = {"product_id": "card_gold", "channel": "crm", "size": 1}
            made = await client.post("/api/v1/audiences", json=order)
            assert made.status_code == 201, made.text
            for path, body in (
                (f"/api/v1/snapshots/{SECOND}/publish", {}),
                (f"/api/v1/snapshots/{SECOND}/rollback", {}),
                ("/api/v1/blocks", {"item_id": "card_gold"}),
                ("/api/v1/suppressions", {"user_ids": [str(ALICE)], "kind": "opt_out", "channel": "crm"}),
            ):
                refused = await client.post(path, json=body)
                assert (refused.status_code, "ACCESS_DENIED" in refused.text) == (422, True), path
            identity: str = taken.json()["id"]
            return identity

    with installed.of_role("look_up") as address:
        identity = asyncio.run(scene(address))
        with connected(address) as store:
            kept = {event_id for event_id, *_ in store.rows("feedback_v1/of_user", user_id=ALICE)}
            assert (kept, current(store)) == ({identity}, FIRST)


def test_a_service_that_takes_no_decisions_says_so_before_it_asks_the_database(tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(Address("http://127.0.0.1:1"), tmp_path, operators="off") as client:
            for path, body in (
                (f"/api/v1/snapshots/{SECOND}/publish", {}),
                (f"/api/v1/snapshots/{SECOND}/override", {"why": "x"}),
                (f"/api/v1/snapshots/{SECOND}/override/approve", None),
                ("/api/v1/blocks", {"item_id": "card_gold"}),
                ("/api/v1/rules/proposals", {"document": "{}", "why": "x"}),
                ("/api/v1/suppressions", {"user_ids": [str(ALICE)], "kind": "opt_out", "channel": "crm"}),
                (f"/api/v1/suppressions/{'0' * 32}/lift", {"reason": "x"}),
            ):
                refused = await client.post(path, json=body)
                assert refused.status_code == 421, (path, refused.text)

    asyncio.run(scene())


def test_as_the_operators_user_what_they_decide_through_the_api_is_written(
    installed: Installation, tmp_path: Path
) -> None:
    async def scene(address: Address) -> None:
        async with service(address, tmp_path) as client:
            for path, body in (
                (f"/api/v1/snapshots/{SECOND}/publish", {"why": "approved"}),
                (f"/api/v1/snapshots/{FIRST}/rollback", {}),
                ("/api/v1/blocks", {"item_id": "loan_cash"}),
                ("/api/v1/blocks", {"item_id": "loan_cash", "blocked": False, "why": "cleared"}),
                ("/api/v1/suppressions", {"user_ids": ["77"], "kind": "opt_out", "channel": "crm"}),
            ):
                done = await client.post(path, json=body)
                assert done.status_code in (200, 202), (path, done.text)
            lifted = await client.post(f"/api/v1/suppressions/{done.json()['id']}/lift", json={"reason": "by mistake"})
            assert lifted.status_code == 200, lifted.text
            document = (await client.get("/api/v1/rules")).json()["document"]
            proposed = await client.post("/api/v1/rules/proposals", json={"document": document, "why": "again"})
            assert proposed.status_code == 202, proposed.text

    with installed.of_role("operator") as address:
        asyncio.run(scene(address))
        with connected(address) as store:
            assert current(store) == FIRST


def test_as_the_night_s_user_tables_are_made_and_a_snapshot_is_loaded_published_and_dropped(
    installed: Installation, tmp_path: Path
) -> None:
    with installed.of_role("load") as address, connected(address) as store:
        assert migrate(address) == ()
        load_snapshot(store, tmp_path / LATER, snapshot_id=LATER)
        publish(store, LATER, actor="night")
        publish(store, FIRST, actor="night")
        drop_old(store, keep=2)
        assert current(store) == FIRST


def test_the_service_writes_what_operators_decide_as_their_user_where_there_is_one() -> None:
    settings = Settings(
        clickhouse_user="recs_look_up",
        clickhouse_password="a",
        clickhouse_operator_user="recs_operator",
        clickhouse_operator_password="b",
    )
    theirs, mine = Address.of_operators(settings), Address.of(settings)
    assert ((mine.user, mine.password), (theirs.user, theirs.password)) == (
        ("recs_look_up", "a"),
        ("recs_operator", "b"),
    )
    assert theirs.url == mine.url
    alone = settings.model_copy(update={"clickhouse_operator_user": "", "clickhouse_operator_password": SecretStr("")})
    assert Address.of_operators(alone) == Address.of(alone)
