"""Suppressions over HTTP and by file on a real ClickHouse: whatever asks afterwards is told so."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from api.app import create_app, now
from api.grpc import running_grpc
from data_contracts import recommendation_pb2 as pb
from data_contracts import recommendation_pb2_grpc as services
from data_contracts.manifest import Erasure
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel
from infra.cli import main
from infra.local.clickhouse.testing import clickhouse_url
from sql.client import Address, connected
from sql.erase import erase_user
from sql.lifts import suppressions_of
from sql.pointer import rollback
from tests.day_snapshots import serve
from tests.day_world import ALICE, BOB, CAROL, DAVE, FIRST, NOW, SECOND

__all__ = ["clickhouse_url"]
URL = "/api/v1/suppressions"
# Explanations ask when an event was stored, by ClickHouse's clock.


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    mine = Address(url=clickhouse_url, database="suppressions")
    serve(mine, tmp_path_factory, FIRST, SECOND, current=SECOND)
    yield mine


@dataclass(frozen=True)
class Day:
    client: httpx.AsyncClient
    grpc: Any
    known: Callable[[int, Channel], bool]  # to have opted out, by the service in memory

    async def shown(self, user_id: int, channel: str = "web") -> list[str]:
        return [one["product_id"] for one in (await self.answer(user_id, channel))["recommendations"]]

    async def answer(self, user_id: int, channel: str = "web") -> dict[str, Any]:
        response = await self.client.get(
            "/api/v1/recommendations", params={"user_id": str(user_id), "channel": channel}
        )
        found: dict[str, Any] = response.json()
        return found

    async def everywhere(self, user_id: int, channel: str = "web") -> list[list[str]]:
        """What each interface shows."""
        asked = {"user_ids": [str(user_id)], "channel": channel}
        batch = (await self.client.post("/api/v1/recommendations/batch", json=asked)).json()["answers"][0]
        request = pb.RecommendRequest(user_id=user_id, channel=pb.Channel.Value(f"CHANNEL_{channel.upper()}"))
        told = await self.grpc.GetRecommendations(request)
        return [
            await self.shown(user_id, channel),
            [one["product_id"] for one in batch["recommendations"]],
            [one.product_id for one in told.recommendations],
        ]

    async def lift(self, suppression_id: str, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        return await self.client.post(f"{URL}/{suppression_id}/lift", json=body, headers=headers)

    async def post(self, **body: Any) -> httpx.Response:
        return await self.client.post(
            URL, json={key: value for key, value in body.items() if key != "headers"}, headers=body.get("headers")
        )


@asynccontextmanager
async def running(address: Address, folder: Path) -> AsyncIterator[Day]:
    settings = Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        clickhouse_database=address.database,
        pointer_poll_seconds=0.02,
        lookup_deadline_ms=5_000,
        grpc_port=0,
        grpc_metrics_port=0,
    )
    app = create_app(settings, clock=now)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client,
        running_grpc(settings, clock=now) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        lookup = app.state.service.lookup
        yield Day(client, services.RecommendationServiceStub(channel), lookup.has_opted_out)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.02)


def test_a_suppression_holds_in_every_interface_past_a_rollback_and_is_explained(
    address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with running(address, tmp_path) as day:
            assert all(await day.everywhere(ALICE))
            taken = await day.post(user_ids=[str(ALICE)], kind="complaint", channel="web", reason="call 481")
            assert (taken.status_code, taken.json()["accepted"]) == (202, 1)
            assert await day.everywhere(ALICE) == [[], [], []]
            assert all(await day.everywhere(ALICE, "mobile"))
            with connected(address) as store:
                rollback(store, to=FIRST, actor="test", why="")
            await until(lambda: is_from(day, FIRST))
            assert await day.everywhere(ALICE) == [[], [], []]
            url = f"/api/v1/explanations/{(await day.answer(ALICE))['rec_id']}"

            async def is_explained() -> bool:
                response = await day.client.get(url)
                return response.status_code == 200 and {one["rule"] for one in response.json()["dropped"]} == {
                    "withdrawn"
                }

            await until(is_explained)

    asyncio.run(scene())
    with connected(address) as store:
        (kept,) = suppressions_of(store, ALICE)
        assert (kept.kind, kept.channel, kept.reason, kept.actor) == ("complaint", "web", "call 481", "anybody")
        erased = erase_user(store, ALICE, manifests={}, note=Erasure(receipt="r", at=NOW))
        assert (erased.before["suppressions"], erased.after["suppressions"]) == (1, 0)
        assert erased.after["user_events"] == 0


async def is_from(day: Day, snapshot_id: str) -> bool:
    return bool((await day.answer(BOB))["snapshot_id"] == snapshot_id)


def test_a_product_or_a_family_is_out_in_its_channel_until_its_time_has_come(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(address, tmp_path) as day:
            assert "card_gold" in await day.shown(BOB)
            end = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
            await day.post(user_ids=[str(BOB)], kind="other", channel="web", product_id="card_gold", until=end)
            await day.post(user_ids=[str(BOB)], kind="other", family="deposit")
            assert "card_gold" not in await day.shown(BOB)
            assert "card_gold" in await day.shown(BOB, "mobile")
            assert "deposit_year" not in {*await day.shown(BOB, "mobile"), *await day.shown(BOB)}

            async def is_back() -> bool:
                return "card_gold" in await day.shown(BOB)

            await until(is_back)

    asyncio.run(scene())


def test_while_clickhouse_cannot_be_asked_the_suppressed_are_shown_nothing_either(
    address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with running(address, tmp_path) as day:
            opt_outs = day.known
            assert not opt_outs(5_001, Channel.WEB)
            await day.post(user_ids=["5001"], kind="opt_out")
            await day.post(user_ids=["5002"], kind="other", channel="web", product_id="card_gold")

            async def are_known() -> bool:
                return opt_outs(5_001, Channel.WEB) and opt_outs(5_002, Channel.WEB)

            await until(are_known)
            assert opt_outs(5_001, Channel.MOBILE)
            assert not opt_outs(5_002, Channel.MOBILE)

    asyncio.run(scene())


def test_a_lift_opens_what_its_suppression_shut_everywhere_and_both_stay_on_record(
    address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with running(address, tmp_path) as day:
            key = {"Idempotency-Key": "again"}
            asked = {"user_ids": [str(BOB), "5101"], "kind": "complaint", "channel": "web", "headers": key}
            before = await day.everywhere(BOB)
            first = (await day.post(**asked)).json()["id"]
            gold = {"kind": "other", "channel": "web", "product_id": "card_gold"}
            other = (await day.post(user_ids=[str(BOB)], **gold)).json()["id"]
            assert await day.everywhere(BOB) == [[], [], []]
            await until(lambda: is_known(day, 5_101, out=True))
            lifted = await day.lift(first, reason="call 512")
            assert (lifted.status_code, lifted.json()["lifted"]) == (200, 2)
            assert all(shown and "card_gold" not in shown for shown in await day.everywhere(BOB))
            await until(lambda: is_known(day, 5_101, out=False))
            assert (await day.lift(first, reason="again")).json() | {"id": ""} == {
                "id": "",
                "lifted": 0,
                "lifted_before": 2,
            }
            anew = (await day.post(**asked)).json()["id"]
            assert anew not in (first, other)
            assert (await day.post(**asked)).json()["id"] == anew
            assert await day.everywhere(BOB) == [[], [], []]
            await day.lift(anew, reason="call 513", user_ids=[str(BOB)])
            await day.lift(other, reason="call 514")
            assert await day.everywhere(BOB) == before
            told = (await day.client.get(URL, params={"user_id": str(BOB)})).json()["suppressions"]
            assert [(one["id"], one["in_force"], one["lift"]["reason"]) for one in told[-3:]] == [
                (first, False, "call 512"),
                (other, False, "call 514"),
                (anew, False, "call 513"),
            ]
            (_, kept) = (await day.client.get(URL, params={"user_id": "5101"})).json()["suppressions"]
            assert (kept["in_force"], kept["lift"]) == (True, None)

    asyncio.run(scene())


async def is_known(day: Day, user_id: int, *, out: bool) -> bool:
    return day.known(user_id, Channel.WEB) is out


def test_a_lift_that_cannot_be_is_refused_and_an_erasure_stays(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(address, tmp_path) as day:
            erased = (await day.post(user_ids=["5201"], kind="erasure_request")).json()["id"]
            shut = (await day.post(user_ids=["5202"], kind="complaint")).json()["id"]
            for suppression_id, body, status in (
                (erased, {"reason": "no"}, 409),
                ("0" * 32, {"reason": "no"}, 404),
                ("0", {"reason": "no"}, 422),
                (shut, {"reason": " "}, 422),
                (shut, {}, 422),
                (shut, {"reason": "x", "user_ids": ["5203"]}, 422),
            ):
                assert (await day.lift(suppression_id, **body)).status_code == status, body
            key = {"Idempotency-Key": "lift"}
            lifted = [await day.lift(shut, reason="call 515", headers=key) for _ in range(2)]
            assert lifted[0].json() == lifted[1].json()
            assert (await day.lift(shut, reason="call 516", headers=key)).json()["errors"][0][
                "field"
            ] == "Idempotency-Key"
            assert (await day.post(user_ids=["1"], kind="erasure_request", product_id="card_gold")).status_code == 422
            assert await day.everywhere(5201) == [[], [], []]
            assert all(await day.everywhere(5202))
            with connected(address) as store:  # the version before knows the second of them
                events = store.table("user_events_v1/of_users", user_ids=[5201], cut_off=0)
            assert set(events["event_type"].to_pylist()) == {"erasure_suppressed", "channel_suppressed"}

    asyncio.run(scene())


def test_a_key_counts_once_and_what_is_wrong_is_refused_by_its_field(address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(address, tmp_path) as day:
            key = {"Idempotency-Key": "k1"}
            first = await day.post(user_ids=[str(DAVE)], kind="opt_out", headers=key)
            again = await day.post(user_ids=[str(DAVE)], kind="opt_out", headers=key)
            other = await day.post(user_ids=[str(DAVE)], kind="complaint", headers=key)
            assert first.json() == again.json()
            assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
            for wrong, field in (
                ({"user_ids": []}, "user_ids"),
                ({"kind": "rude"}, "kind"),
                ({"channel": "pager"}, "channel"),
                ({"product_id": "no such"}, "product_id"),
                ({"until": "2020-01-01T00:00:00Z"}, "until"),
            ):
                refused = await day.post(**{"user_ids": [str(DAVE)], "kind": "other", **wrong})
                assert refused.status_code == 422, wrong
                assert refused.json()["errors"][0]["field"].partition(".")[0] == field
            file = f"user_id,kind,product_id\n{CAROL},opt_out,\n{CAROL},rude,\n{CAROL},other,no such\n"
            sent = await day.client.post(URL, content=file, headers={"Content-Type": "text/csv"})
            assert sent.json()["accepted"] == 1
            assert [one["line"] for one in sent.json()["refused"]] == [3, 4]
            assert await day.everywhere(CAROL) == [[], [], []]
            as_csv = {"Content-Type": "text/csv", "Accept": "text/csv, application/json;q=0.5"}
            sent = await day.client.post(URL, content=file, headers=as_csv)
            assert (sent.status_code, sent.headers["Rows-Accepted"], sent.headers["Rows-Refused"]) == (202, "1", "2")
            mended = sent.text.replace("rude", "complaint").replace("no such", "card_gold")
            sent = await day.client.post(URL, content=mended, headers=as_csv)
            assert (sent.headers["Rows-Accepted"], sent.text) == ("2", "line,refusal,user_id,kind,product_id\r\n")
            assert sent.headers["Suppression-Id"] == suppressions_kept(address, CAROL)[-1]

    asyncio.run(scene())
    with connected(address) as store:
        assert len(suppressions_of(store, DAVE)) == 1


def suppressions_kept(address: Address, user_id: int) -> list[str]:
    with connected(address) as store:
        return [one.suppression_id for one in suppressions_of(store, user_id)]


def test_the_command_takes_a_file_leaves_what_it_refused_beside_it_and_lifts(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "complaints.csv"
    file.write_text("user_id,kind,channel\n77,complaint,crm\n78,complaint,pager\n", encoding="utf-8-sig")
    monkeypatch.setenv("RECS_CLICKHOUSE_URL", address.url)
    monkeypatch.setenv("RECS_CLICKHOUSE_DATABASE", address.database)
    monkeypatch.setattr(sys, "argv", ["recs", "suppress", "--file", str(file)])
    with pytest.raises(SystemExit, match="2"):
        main()
    told = tmp_path / "complaints.refused.csv"
    head, row = told.read_text(encoding="utf-8").splitlines()
    assert (head, row.split(",")[0], row.endswith(",78,complaint,pager")) == (
        "line,refusal,user_id,kind,channel",
        "3",
        True,
    )
    told.write_text(f"{head}\n{row.replace('pager', 'crm')}\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["recs", "suppress", "--file", str(told)])
    with pytest.raises(SystemExit) as taken:
        main()
    assert (taken.value.code, len(suppressions_kept(address, 78))) == (0, 1)
    with connected(address) as store:
        (kept,) = suppressions_of(store, 77)
    command = ["recs", "suppress", "--lift", kept.suppression_id, "--user", "77", "--json"]
    for why, ends in (("", "2"), ("a mix-up", None)):
        monkeypatch.setattr(sys, "argv", [*command, "--why", why])
        with pytest.raises(SystemExit, match=ends) as ended:
            main()
        assert (ended.value.code == 0) == (ends is None)
    monkeypatch.setattr(sys, "argv", ["recs", "suppress", "--user", "77", "--json"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    assert '"holds": "no"' in shown
    assert "a mix-up" in shown
