"""What the page for people asks for, on a real ClickHouse: verdicts, overrides by two, exports, campaigns, and whose
token it is.
"""

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from data_contracts.manifest import MANIFEST_FILE, GateCheck, GateVerdict
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Scope
from infra.local.clickhouse.testing import clickhouse_url
from infra.tokens import issue
from spark_jobs.lake.snapshot_files import snapshot_before
from sql.client import Address, connected
from sql.exports import Step, put_step
from sql.pointer import moves
from tests.day_snapshots import serve
from tests.day_world import FIRST, NOW
from tests.integration.test_api_operators import bearer, service
from tests.sql.snapshots import write_snapshot

__all__ = ["clickhouse_url"]
STOPPED, FORBIDDEN = "2026-03-17.1", "2026-03-18.1"


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    mine = Address(url=clickhouse_url, database="console")
    serve(mine, tmp_path_factory, FIRST, current=FIRST)
    yield mine


def stop_in_lake(lake: Path, snapshot_id: str, check: str) -> None:
    """A sealed snapshot whose gate failed this check."""
    folder = lake / "snapshots" / snapshot_id
    checks = (GateCheck(name="coverage", passed=True), GateCheck(name=check, passed=False, value=0.1, limit=0.3))
    manifest = write_snapshot(folder, snapshot_id=snapshot_id)
    (folder / MANIFEST_FILE).write_text(manifest.model_copy(update={"gate": GateVerdict.of(checks)}).to_json())


def test_what_the_gate_stopped_is_told_and_published_by_two_people_only(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        stop_in_lake(tmp_path / "lake", STOPPED, "product_overlap")
        stop_in_lake(tmp_path / "lake", FORBIDDEN, "policy")
        (tmp_path / "lake" / "snapshots" / "2026-03-19.1").mkdir()  # a night that was killed
        async with service(address, tmp_path, Scope.SNAPSHOTS_WRITE, Scope.RECOMMENDATIONS_READ) as client:
            told = (await client.get("/api/v1/verdicts")).json()
            assert told["current"] == FIRST
            assert [(one["snapshot_id"], one["state"], one["passed"]) for one in told["verdicts"]] == [
                (FORBIDDEN, "absent", False),
                (STOPPED, "absent", False),
                (FIRST, "verified", True),
            ]
            checks = [(one["name"], one["passed"], one["overridable"]) for one in told["verdicts"][1]["checks"]]
            assert checks[0] == ("product_overlap", False, True)
            assert told["verdicts"][0]["checks"][0]["overridable"] is False
            url = f"/api/v1/snapshots/{STOPPED}/override"
            assert (await client.post(url, json={"why": " "})).status_code == 422
            asked = await client.post(url, json={"why": "churn is wanted"})
            assert asked.json() == {"snapshot_id": STOPPED, "published": False, "checks": ["product_overlap"]}
            assert (await client.post(f"{url}/approve")).status_code == 422  # by the one who asked
            colleague = bearer(Settings(data_dir=tmp_path), "risk", Scope.SNAPSHOTS_WRITE)
            agreed = await client.post(f"{url}/approve", headers=colleague)
            assert (agreed.status_code, agreed.json()["published"]) == (200, True), agreed.text
            assert snapshot_before(str(tmp_path / "lake"), date(2026, 3, 18), "product_overlap") is not None
            steps = (await client.get("/api/v1/verdicts")).json()["verdicts"][1]["overrides"]
            assert [(one["step"], one["actor"]) for one in steps] == [("asked", "back-office"), ("approved", "risk")]
            (moved, *_) = (await client.get("/api/v1/moves", params={"most": 1})).json()["moves"]
            assert (moved["snapshot_id"], moved["actor"]) == (STOPPED, "risk")
            never = await client.post(f"/api/v1/snapshots/{FORBIDDEN}/override", json={"why": "please"})
            assert never.status_code == 409
            unknown = await client.post("/api/v1/snapshots/2020-01-01.1/override", json={"why": "please"})
            assert unknown.status_code == 404
            assert (await client.get("/api/v1/blocks")).status_code == 403

    asyncio.run(scene())
    with connected(address) as store:
        assert moves(store)[-1].why == "gate overridden: churn is wanted (asked by back-office, approved by risk)"


def test_a_token_is_told_whom_it_speaks_for_and_nobody_without_one(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(address, tmp_path, Scope.LISTS_READ) as client:
            told = (await client.get("/api/v1/me")).json()
            assert (told["client"], told["scopes"], told["channel"]) == ("back-office", ["lists:read"], None)
            assert told["expires_at"] is not None
            assert (await client.get("/api/v1/me", headers={"Authorization": "Bearer x"})).status_code == 401

    asyncio.run(scene())


def test_exports_and_campaigns_are_listed_for_whom_the_channel_allows(address: Address, tmp_path: Path) -> None:
    manifest = {
        "day": "2026-03-16",
        "snapshot_id": FIRST,
        "campaigns": {
            "spring_deposits": {
                "audience": 90,
                "wanted_elsewhere": 12,
                "held_out": 9,
                "contacts": 40,
                "budget_left": 60,
                "value": 1234.5,
                "of a later version": 1,
            }
        },
    }
    folder = tmp_path / "lake" / "campaigns" / "2026-03-16" / FIRST
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with connected(address) as store:
        for number, channel in enumerate(("crm", "mobile")):
            request = {"channel": channel, "format": "csv"}
            put_step(store, f"{number:024x}", Step.ASKED, actor="crm", request=request, told={})

    async def scene() -> None:
        async with service(address, tmp_path, Scope.LISTS_READ, Scope.EXPORTS_WRITE) as client:
            every = (await client.get("/api/v1/exports")).json()
            assert {(one["export_id"], one["state"]) for one in every} == {
                ("0" * 24, "asked"),
                ("0" * 23 + "1", "asked"),
            }
            found = {one["name"]: one for one in (await client.get("/api/v1/campaigns")).json()["campaigns"]}
            assert found["spring_deposits"]["reach"]["wanted_elsewhere"] == 12
            assert found["travel_card"]["reach"] is None
            settings, bound = Settings(data_dir=tmp_path), [Scope.LISTS_READ, Scope.EXPORTS_WRITE]
            token = issue(settings, scopes=bound, client="app", channel=Channel.MOBILE, seconds=60, now=NOW.timestamp())
            headers = {"Authorization": f"Bearer {token}"}
            theirs = (await client.get("/api/v1/exports", headers=headers)).json()
            assert [one["export_id"] for one in theirs] == ["0" * 23 + "1"]
            seen = (await client.get("/api/v1/campaigns", headers=headers)).json()["campaigns"]
            assert {one["channel"] for one in seen} <= {"mobile"}

    asyncio.run(scene())
