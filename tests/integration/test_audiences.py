"""Audiences over HTTP on a real ClickHouse: the best users of a product in total order, re-checked when pulled."""

import asyncio
import csv
import hashlib
import io
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.app import create_app, now
from api.store import Lists, UserState
from data_contracts.errors import UnavailableError
from data_contracts.manifest import Erasure
from data_contracts.overlay import row_of
from data_contracts.overlay.rows import micros
from data_contracts.scores import dequantise
from data_contracts.settings import Settings
from infra.local.clickhouse.testing import clickhouse_url
from sql.client import Address, connected
from sql.day_logs import DAY_LOGS, put_log
from sql.erase import erase_user
from sql.migrate import migrate
from sql.pointer import publish
from sql.rules import put_rule_set
from sql.user_events import put_events
from tests.day_snapshots import Reached, load_snapshot
from tests.day_world import CATALOGUE, CODES, EVERYTHING, FIRST, NOW, REASONS, RULES, ranked

__all__ = ["clickhouse_url"]
URL = "/api/v1/audiences"
# Users 1 to 200, of whom those with larger ids have smaller scores; ties at each ten. Every tenth holds the card, every
# seventh has not agreed to CRM, every fifth is of segment 2 and else of segment 1.
USERS = range(1, 201)
LISTS = {user: Lists(ranked("card_gold", score=40_000 - user // 10 * 100), ranked()) for user in USERS}
# Their lists lack the card, but scoring has them among its best: the larger the id the likelier, the less persuaded.
UNLISTED = range(301, 311)
BEYOND = [
    Reached(CODES["card_gold"], user, score=10_000 + user, rank=rank, variant=variant)
    for user in UNLISTED
    for variant, rank in (("personal", 10_000 + user), ("uplift", 20_000 - user))
]
STATES = {
    user: UserState(
        segment=3 if user in UNLISTED else 2 if user % 5 == 0 else 1,
        holdings=[CODES["card_gold"]] if user % 10 == 0 and user in USERS else [],
        birth_year=1990,
        consents=EVERYTHING - 4 if user % 7 == 0 and user in USERS else EVERYTHING,
    )
    for user in (*USERS, *UNLISTED)
}
FIT = [user for user in USERS if user % 10 and user % 7]
BEST = sorted(FIT, key=lambda user: (user // 10, user))


@pytest.fixture(scope="module")
def address(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    mine = Address(url=clickhouse_url, database="audiences")
    migrate(mine)
    with connected(mine) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        folder = tmp_path_factory.mktemp("snapshot")
        load_snapshot(store, folder, snapshot_id=FIRST, lists=LISTS, states=STATES, beyond=BEYOND)
        publish(store, FIRST, actor="test")
    yield mine


def scene(address: Address, folder: Path, act: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    settings = Settings(data_dir=folder, clickhouse_url=address.url, clickhouse_database=address.database)
    app = create_app(settings, clock=now)

    async def play() -> None:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client,
        ):
            await act(client)

    asyncio.run(play())


async def pulled(client: httpx.AsyncClient, audience_id: str, after: int = 0) -> tuple[list[int], dict[str, Any]]:
    response = await client.get(f"{URL}/{audience_id}/members", params={"after": after})
    *lines, end = response.content.splitlines(keepends=True)
    told: dict[str, Any] = orjson.loads(end)
    assert told["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    assert told["members"] == len(lines)
    return [int(orjson.loads(line)["user_id"]) for line in lines], told


def test_an_audience_is_the_best_who_may_be_contacted_and_is_asked_about_again_when_pulled(
    address: Address, tmp_path: Path
) -> None:
    async def act(client: httpx.AsyncClient) -> None:
        order = {"product_id": "card_gold", "size": 50}
        preview = (await client.post(f"{URL}/preview", json=order)).json()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("api.audiences._MOST_PAGE", 7)  # so that pages end within equal scores
            assert (await client.post(f"{URL}/preview", json=order)).json() == preview
        made = (await client.post(URL, json=order)).json()
        assert preview["outcome"] == made["outcome"]
        assert (made["outcome"]["members"], made["outcome"]["short"]) == (50, "")
        chances = [float(dequantise(40_000 - user // 10 * 100)) for user in BEST[:50]]
        told = made["outcome"]["conversions"]
        assert told["expected"] == pytest.approx(sum(chances))
        assert told["low"] < told["expected"] < told["high"]
        assert made["outcome"]["revenue"]["expected"] == pytest.approx(100 * sum(chances))
        assert sum(one["members"] for one in made["outcome"]["scores"]) == 50
        assert await pulled(client, made["id"]) == (BEST[:50], (await pulled(client, made["id"]))[1])
        assert (await pulled(client, made["id"], after=10))[0] == BEST[10:50]
        gone = {"user_ids": [str(BEST[3])], "kind": "complaint"}
        assert (await client.post("/api/v1/suppressions", json=gone)).status_code == 202
        members, end = await pulled(client, made["id"])
        assert (members, end["left_out"]) == ([user for user in BEST[:50] if user != BEST[3]], 1)
        again = (await client.post(f"{URL}/preview", json={**order, "size": 10})).json()["outcome"]
        assert again["overlaps"] == [{"audience_id": made["id"], "members": 10}]
        assert (await client.get(f"{URL}/{made['id']}")).json()["request"]["size"] == 50
        assert (await client.get(f"{URL}/{'0' * 32}")).status_code == 404

    scene(address, tmp_path, act)
    with connected(address) as store:
        erased = erase_user(store, BEST[5], manifests={}, note=Erasure(receipt="r", at=NOW))
        assert erased.before["audience_members"] == erased.before["audience_pool"] == 1
        assert set(erased.after.values()) == {0}


def test_users_whose_list_lacks_the_product_are_found_and_by_uplift_whom_it_persuades_come_first(
    address: Address, tmp_path: Path
) -> None:
    async def act(client: httpx.AsyncClient) -> None:
        async def members(**wanted: Any) -> tuple[list[int], str]:
            made = (await client.post(URL, json={"product_id": "card_gold", "size": 500, **wanted})).json()
            return (await pulled(client, made["id"]))[0], made["outcome"]["short"]

        everybody, short = await members()
        assert everybody[-10:] == sorted(UNLISTED, reverse=True)
        assert short.startswith(f"only {len(everybody)} users may be contacted so: {FIRST} keeps 2")
        for user in UNLISTED:
            shown = await client.get("/api/v1/recommendations", params={"user_id": user, "channel": "crm", "top_k": 20})
            assert "card_gold" not in {one["product_id"] for one in shown.json()["recommendations"]}
        assert (await members(variant="uplift"))[0] == list(UNLISTED)
        likely = await members(variant="uplift", min_score=float(dequantise(10_305)))
        assert likely[0] == [user for user in UNLISTED if user >= 305]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("api.audiences._LEAST_PAGE", 3)
            patch.setattr("api.audiences._MOST_PAGE", 3)
            assert await members(variant="uplift", min_score=float(dequantise(10_305))) == likely

    scene(address, tmp_path, act)


def test_who_dismissed_a_whole_answer_is_in_no_audience_of_what_it_showed(address: Address, tmp_path: Path) -> None:
    user, at = BEST[7], now()
    shown = {"item_id": "card_gold", "tier": "personal", "score": 0.5, "propensity": 1.0}
    said = {"event_id": "f", "event_type": "dismissed", "rec_id": "r", "event_time": micros(at), "user_id": user}
    with connected(address) as store:
        seen = {"event_id": "e", "event_time": at, "user_id": user, "rec_id": "r", "items": [shown]}
        put_log(store, DAY_LOGS["recommendation.exposures"], [seen])
        row = row_of("recommendation.feedback", said, arrived=micros(at), skew=0)
        assert row is not None
        put_events(store, [row])

    async def act(client: httpx.AsyncClient) -> None:
        made = (await client.post(URL, json={"product_id": "card_gold", "size": 1_000})).json()
        members, _ = await pulled(client, made["id"])
        assert user not in members
        assert BEST[8] in members

    scene(address, tmp_path, act)


def test_its_members_come_in_every_format_each_with_an_end_that_tells_that_none_is_missing(
    address: Address, tmp_path: Path
) -> None:
    async def act(client: httpx.AsyncClient) -> None:
        made = (await client.post(URL, json={"product_id": "card_gold", "size": 60})).json()

        async def members(name: str, **more: Any) -> bytes:
            response = await client.get(f"{URL}/{made['id']}/members", params={"format": name, **more})
            assert response.status_code == 200
            return response.content

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("api.audience_stream._AT_ONCE", 25)
            *lines, end = map(orjson.loads, (await members("ndjson")).splitlines())
            asked = [(one["place"], int(one["user_id"]), one["score"]) for one in lines]
            head, *rows, last = csv.reader(io.StringIO((await members("csv")).decode()))
            assert [(int(place), int(user), float(score)) for _, place, user, score, _ in rows] == asked
            assert (head, orjson.loads(last[3])["members"]) == (["record", *lines[0]], len(asked))
            assert (await members("csv", after=asked[-2][0])).splitlines()[0].split(b",")[2] == b"%d" % asked[-1][1]
            file = pq.ParquetFile(io.BytesIO(await members("parquet")))
            told = [orjson.loads(file.metadata.metadata[b"end"])]
            batches = list(pa.ipc.open_stream(await members("arrow")).iter_batches_with_custom_metadata())
            told.append(orjson.loads(batches[-1].custom_metadata[b"end"]))
        arrow = pa.Table.from_batches([one.batch for one in batches])
        checksum = hashlib.sha256()
        for one in batches:
            checksum.update(b"".join(column.to_numpy().tobytes() for column in one.batch.columns[:3]))
        for found in (file.read(), arrow):
            assert [tuple(row.values())[:3] for row in found.to_pylist()] == asked
        assert told == [{"members": len(asked), "left_out": end["left_out"], "sha256": checksum.hexdigest()}] * 2
        assert len(batches) == 4
        assert (await client.get(f"{URL}/{made['id']}/members", params={"format": "xls"})).status_code == 422

    scene(address, tmp_path, act)


def test_an_audience_that_could_not_be_kept_holds_nobody_out(address: Address, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise UnavailableError("ClickHouse does not answer")

    async def act(client: httpx.AsyncClient) -> None:
        order = {"product_id": "card_gold", "size": 80, "control_share": 0.5}
        before = (await client.post(f"{URL}/preview", json={**order, "control_share": 0})).json()["outcome"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("api.audiences.put_audience", fail)
            assert (await client.post(URL, json=order)).status_code == 503
        after = (await client.post(f"{URL}/preview", json={**order, "control_share": 0})).json()["outcome"]
        assert after == before

    scene(address, tmp_path, act)


def test_wishes_narrow_it_what_is_missing_is_said_and_its_control_group_is_in_no_other(
    address: Address, tmp_path: Path
) -> None:
    async def act(client: httpx.AsyncClient) -> None:
        order = {"product_id": "card_gold", "size": 1_000, "segments": [2], "min_score": float(dequantise(39_000))}
        few = (await client.post(f"{URL}/preview", json=order)).json()["outcome"]
        assert few["members"] == len([user for user in FIT if user % 5 == 0 and user // 10 <= 10])
        assert few["short"].startswith(f"only {few['members']} users")
        none = (await client.post(f"{URL}/preview", json={**order, "variant": "uplift"})).json()["outcome"]
        assert (none["members"], none["least_score"], none["scores"]) == (0, None, [])
        made = (await client.post(URL, json={"product_id": "card_gold", "size": 80, "control_share": 0.5})).json()
        control = made["outcome"]["control"]
        assert 10 < control < 70
        members = (await pulled(client, made["id"]))[0]
        assert len(members) == made["outcome"]["members"] == 80 - control
        other = (await client.post(URL, json={"product_id": "card_gold", "size": 80})).json()
        first = (await pulled(client, other["id"]))[0]
        assert set(members) <= set(first)
        assert len(set(BEST[:90]) - set(first)) >= control
        for wrong, field in (
            ({"product_id": "no such"}, "product_id"),
            ({"size": 0}, "size"),
            ({"channel": "x"}, "channel"),
        ):
            refused = await client.post(URL, json={"product_id": "card_gold", "size": 5, **wrong})
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)

    scene(address, tmp_path, act)


@pytest.fixture
def uncounted(address: Address) -> Iterator[None]:
    """Others look at the same users."""
    yield
    with connected(address) as store:
        mine = "event_type IN ('sent', 'released', 'held_out')"
        store._client.command(f"ALTER TABLE user_events DELETE WHERE {mine} SETTINGS mutations_sync = 2")


@pytest.mark.usefixtures("uncounted")
def test_one_that_was_sent_is_counted_once_and_one_that_was_cancelled_gives_its_control_group_back(
    address: Address, tmp_path: Path
) -> None:
    async def act(client: httpx.AsyncClient) -> None:
        async def available(**more: Any) -> int:
            order = {"product_id": "card_gold", "size": 1_000, **more}
            return int((await client.post(f"{URL}/preview", json=order)).json()["outcome"]["members"])

        before, others = await available(), await available(product_id="loan_cash")
        order = {"product_id": "card_gold", "size": 60, "control_share": 0.5}
        given_up, sent = [(await client.post(URL, json=order)).json() for _ in range(2)]
        assert await available() == before - given_up["outcome"]["control"] - sent["outcome"]["control"]
        for _ in range(2):
            told = (await client.post(f"{URL}/{given_up['id']}/cancel")).json()
            assert (told["status"], told["contacts"]) == ("cancelled", None)
        assert await available() == before - sent["outcome"]["control"]

        members = len((await pulled(client, sent["id"]))[0])
        for told in await asyncio.gather(*(client.post(f"{URL}/{sent['id']}/sent") for _ in range(2))):
            assert (told.status_code, told.json()["status"], told.json()["contacts"]) == (200, "sent", members)
        assert (await client.get(f"{URL}/{sent['id']}")).json()["status"] == "sent"
        # Its product's cap, and who asks not to come after anything else.
        assert await available() == before - sent["outcome"]["control"] - members
        few = {"product_id": "loan_cash", "exclude_contacted_days": 5}
        assert await available(**few) == max(0, others - members)
        for one, path in ((given_up, "sent"), (sent, "cancel")):
            assert (await client.post(f"{URL}/{one['id']}/{path}")).status_code == 409
            assert (await client.get(f"{URL}/{one['id']}/members")).status_code == 409
        assert (await client.post(f"{URL}/{'0' * 32}/sent")).status_code == 404
        assert [one["export_id"] for one in (await client.get("/api/v1/exports")).json()] == []

    scene(address, tmp_path, act)


@pytest.mark.usefixtures("uncounted")
def test_a_key_makes_one_audience_and_is_refused_with_another_order(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, key = {"product_id": "card_gold", "size": 30, "control_share": 0.5}, {"Idempotency-Key": "spring"}

    async def act(client: httpx.AsyncClient) -> None:
        both = await asyncio.gather(*(client.post(URL, json=order, headers=key) for _ in range(2)))
        assert [one.status_code for one in both] == [201, 201]
        made, again = (one.json() for one in both)
        assert made == again == (await client.post(URL, json=order, headers=key)).json()
        members, end = await pulled(client, made["id"])
        assert (len(members), len(set(members)), end["left_out"]) == (made["outcome"]["members"],) * 2 + (0,)
        other = await client.post(URL, json={**order, "size": 31}, headers=key)
        assert (other.status_code, other.json()["errors"][0]["field"]) == (409, "Idempotency-Key")
        unkeyed = [(await client.post(URL, json=order)).json()["id"] for _ in range(2)]
        assert len({made["id"], *unkeyed}) == 3

        # What broke off after it was kept holds its control group out when it is repeated.
        def fail(*_: Any, **__: Any) -> None:
            raise UnavailableError("ClickHouse does not answer")

        with monkeypatch.context() as patch:
            patch.setattr("api.audiences.Contacts.hold_out", fail)
            late = {"Idempotency-Key": "summer"}
            assert (await client.post(URL, json=order, headers=late)).status_code == 503
        before = (await client.post(f"{URL}/preview", json={**order, "size": 1_000})).json()["outcome"]
        made = (await client.post(URL, json=order, headers=late)).json()
        after = (await client.post(f"{URL}/preview", json={**order, "size": 1_000})).json()["outcome"]
        assert made["outcome"]["control"] > 0
        assert sum(before[name] - after[name] for name in ("members", "control")) == made["outcome"]["control"]

    scene(address, tmp_path, act)
