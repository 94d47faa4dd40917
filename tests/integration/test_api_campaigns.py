"""Campaigns and rules proposed by one and approved by another, over HTTP on a real ClickHouse."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Scope
from data_contracts.yaml_files import as_document
from infra.local.clickhouse.testing import clickhouse_url
from infra.tokens import issue
from sql.client import Address, connected
from sql.rules import current_rule_set, put_delivered
from tests.campaign_samples import campaign
from tests.day_snapshots import serve
from tests.day_world import ALICE, CATALOGUE, FIRST, NOW, REASONS, RULES
from tests.integration.test_api_operators import bearer, service

__all__ = ["clickhouse_url"]
URL = "/api/v1/campaigns/proposals"


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    mine = Address(url=clickhouse_url, database="api_campaigns")
    serve(mine, tmp_path_factory, FIRST, current=FIRST)
    yield mine


def test_a_campaign_holds_when_somebody_else_has_approved_it_and_one_may_stop_it(
    address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with service(address, tmp_path, Scope.CAMPAIGNS_WRITE, Scope.LISTS_READ) as client:
            boris = bearer(Settings(data_dir=tmp_path), "boris", Scope.CAMPAIGNS_WRITE)
            document = as_document(campaign())
            first = (await propose(client, document)).json()
            assert (first["state"], first["campaign"]["rivals"]) == ("waiting", ["spring_deposits", "travel_card"])
            assert {one["field"]: (one["before"], one["after"]) for one in first["changes"]}["budget"] == (None, "100")
            assert "loans" not in await names(client)
            assert (await propose(client, document)).json()["id"] == first["id"]
            own = await client.post(f"{URL}/{first['id']}/approve")
            assert (own.status_code, "somebody else" in own.json()["detail"]) == (409, True)
            agreed = await client.post(f"{URL}/{first['id']}/approve", headers=boris)
            assert (agreed.json()["state"], agreed.json()["decided"]["actor"]) == ("approved", "boris")
            (held,) = [one for one in await campaigns_of(client) if one["name"] == "loans"]
            assert (held["proposed"]["actor"], held["approved"]["actor"]) == ("back-office", "boris")
            assert (await client.post(f"{URL}/{first['id']}/approve", headers=boris)).status_code == 409
            second = (await propose(client, as_document(campaign(budget=900)))).json()
            assert [(one["field"], one["before"], one["after"]) for one in second["changes"]] == [
                ("budget", "100", "900")
            ]
            refused = await client.post(f"{URL}/{second['id']}/refuse", json={"why": "too many"}, headers=boris)
            assert refused.json()["state"] == "refused"
            stopped = (await propose(client, as_document(campaign(enabled=False)))).json()
            assert stopped["state"] == "approved"
            (held,) = [one for one in await campaigns_of(client) if one["name"] == "loans"]
            assert (held["state"], held["budget"]) == ("off", 100)
            again = (await propose(client, document)).json()
            assert again["state"] == "waiting"
            told = (await client.get(URL)).json()["proposals"]
            assert [one["state"] for one in told] == ["waiting", "approved", "refused", "approved"]

    asyncio.run(scene())


def test_a_document_that_is_wrong_is_refused_with_field_and_line_and_who_may_not_propose_is_told(
    address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with service(address, tmp_path, Scope.CAMPAIGNS_WRITE) as client:
            for changes, field in (
                ({"product": "loan_gold"}, "document.product"),
                ({"exclusive_with": ["nobody"]}, "document.exclusive_with"),
            ):
                wrong = await propose(client, as_document(campaign(**changes)))
                assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, field)
            lines = await propose(client, as_document(campaign()).replace("budget: 100", "budget: 0"))
            fault = lines.json()["errors"][0]
            assert (fault["field"], fault["message"].startswith("line 9: ")) == ("document.budget", True)
            assert (await propose(client, as_document(campaign()), why=" ")).status_code == 422
            assert (await client.post(f"{URL}/{'0' * 32}/refuse", json={"why": "no"})).status_code == 404
            bound = issue(
                Settings(data_dir=tmp_path),
                scopes=[Scope.CAMPAIGNS_WRITE],
                client="app",
                channel=Channel.MOBILE,
                seconds=60,
                now=NOW.timestamp(),
            )
            client.headers["Authorization"] = f"Bearer {bound}"
            assert (await propose(client, as_document(campaign()))).status_code == 403
            assert all(one["name"] != "loans" for one in (await client.get(URL)).json()["proposals"])

    asyncio.run(scene())


def test_rules_are_served_once_somebody_else_has_approved_them_and_stay_until_a_delivery_says_otherwise(
    address: Address, tmp_path: Path
) -> None:
    url, stopped = "/api/v1/rules/proposals", RULES.model_copy(update={"version": "2", "blocked_items": ("loan_cash",)})
    with connected(address) as store:
        put_delivered(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS)

    async def scene() -> None:
        async with service(address, tmp_path, Scope.RULES_WRITE, Scope.RECOMMENDATIONS_READ) as client:
            boris = bearer(Settings(data_dir=tmp_path), "boris", Scope.RULES_WRITE)
            assert "loan_cash" in await shown(client)
            wrong = {"document": "version: '2'\nstatic_popular: [nobody]\n", "why": "ticket 78"}
            assert "unknown products: nobody" in (await client.post(url, json=wrong)).json()["detail"]
            typo = await client.post(url, json={**wrong, "document": "version: '2'\ndefault_family_cap: 0\n"})
            assert typo.json()["errors"][0]["field"] == "document.default_family_cap"
            told = (await client.post(url, json={"document": as_document(stopped), "why": "ticket 78"})).json()
            changed = [(one["field"], one["after"]) for one in told["changes"]]
            assert changed == [("blocked_items", '["loan_cash"]'), ("version", "2")]
            assert (await client.post(f"{url}/{told['id']}/approve")).status_code == 409
            agreed = await client.post(f"{url}/{told['id']}/approve", headers=boris)
            assert agreed.json()["state"] == "approved", agreed.text
            async with asyncio.timeout(60):
                while "loan_cash" in await shown(client):
                    await asyncio.sleep(0.02)
            assert (await client.get("/api/v1/rules")).json()["actor"] == "back-office, boris"
            (kept,) = (await client.get(url)).json()["proposals"]
            assert (kept["state"], kept["decided"]["actor"]) == ("approved", "boris")

    asyncio.run(scene())
    other = RULES.model_copy(update={"version": "3"})
    later = CATALOGUE.model_copy(update={"version": "later"})
    with connected(address) as store:
        for catalogue, rules, served in ((CATALOGUE, RULES, "2"), (later, RULES, "2"), (later, other, "3")):
            put_delivered(store, catalogue=catalogue, rules=rules, reasons=REASONS)
            now = current_rule_set(store)
            assert now is not None
            assert (now.catalogue.version, now.rules.version) == (catalogue.version, served)


async def shown(client: httpx.AsyncClient) -> list[str]:
    asked = await client.get("/api/v1/recommendations", params={"user_id": str(ALICE), "channel": "web"})
    return [one["product_id"] for one in asked.json()["recommendations"]]


async def propose(client: httpx.AsyncClient, document: str, why: str = "ticket 77") -> httpx.Response:
    return await client.post(URL, json={"document": document, "why": why})


async def campaigns_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/api/v1/campaigns")).json()["campaigns"]
    return found


async def names(client: httpx.AsyncClient) -> list[str]:
    return [one["name"] for one in await campaigns_of(client)]
