"""The service on a real ClickHouse: the same answers as on the fake, and what happens when the ground moves."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import orjson
import pytest

from api.app import create_app
from api.clickhouse_store import ClickHouseStore
from api.grpc import running_grpc
from api.opted_out import user_hash
from api.store import FallbackLists, Found, Lists, UserState
from data_contracts import recommendation_pb2 as pb
from data_contracts.overlay import EventRow
from data_contracts.overlay.kinds import FEEDBACK
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF
from data_contracts.recommendation_pb2_grpc import RecommendationServiceStub
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Kind
from sql.client import Address, Store, connected
from sql.migrate import migrate
from sql.pointer import publish, rollback
from sql.rules import block, put_rule_set, unblock
from sql.user_events import put_events
from tests.day_snapshots import load_snapshot
from tests.day_world import (
    ALICE,
    BOB,
    CAROL,
    CATALOGUE,
    DAVE,
    FIRST,
    LISTS,
    NOW,
    REASONS,
    RULES,
    SECOND,
    STRANGER,
    FakeStore,
    ranked,
)

BASE, URL = "http://api", "/api/v1/recommendations"
SECOND_LISTS = {**LISTS, ALICE: Lists(ranked("mortgage_new", "card_gold", score=50_000), ranked("offer_b"))}
SECOND_FALLBACK = FallbackLists(popular=Lists(ranked("deposit_year", score=10_000), ranked("offer_e")))


@dataclass(frozen=True)
class Server:
    """An embedded ClickHouse of the test's own, which can be killed, stopped and started again on the same port."""

    folder: Path
    process: "subprocess.Popen[str]"
    address: Address

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def port(self) -> int:
        return int(self.address.url.rpartition(":")[2])

    @classmethod
    @contextmanager
    def started(cls, folder: Path, *, port: int = 0) -> Iterator["Server"]:
        command = [sys.executable, "-m", "infra.local.clickhouse", "--path", str(folder), "--port", str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            try:
                yield cls(folder, process, Address(url=url))
            finally:
                process.send_signal(signal.SIGCONT)
                process.terminate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two snapshots loaded, the first one published."""
    with Server.started(tmp_path_factory.mktemp("clickhouse")) as running:
        migrate(running.address)
        with connected(running.address) as store:
            put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
            load_snapshot(store, tmp_path_factory.mktemp("first"), snapshot_id=FIRST)
            load_snapshot(
                store,
                tmp_path_factory.mktemp("second"),
                snapshot_id=SECOND,
                lists=SECOND_LISTS,
                fallback=SECOND_FALLBACK,
            )
            publish(store, FIRST, actor="test")
        yield running


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    with connected(server.address) as store:
        yield store


@dataclass(frozen=True)
class Running:
    client: httpx.AsyncClient

    async def answer(self, user_id: int, **params: str | int) -> dict:
        response = await self.client.get(URL, params={"user_id": user_id, "channel": "web", **params})
        assert response.status_code == 200, response.text
        found: dict = orjson.loads(response.content)
        return found

    async def until(self, holds: Callable[[dict], bool], *, user_id: int = ALICE, seconds: float = 10) -> dict:
        """The first answer of which something holds."""
        deadline = time.monotonic() + seconds
        while not holds(answer := await self.answer(user_id)):
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(0.02)
        return answer

    async def until_ready_for(self, tier: str, *, seconds: float = 10) -> None:
        """Readiness follows the polls of the pointers, not the look-ups."""
        deadline = time.monotonic() + seconds
        while (ready := orjson.loads((await self.client.get("/readyz")).content))["tier"] != tier:
            assert time.monotonic() < deadline, ready
            await asyncio.sleep(0.02)


@asynccontextmanager
async def service(server: Server, tmp_path: Path, *, deadline_ms: int = 5_000) -> AsyncIterator[Running]:
    app = create_app(_settings(server, tmp_path, deadline_ms=deadline_ms), clock=lambda: NOW)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=BASE) as client,
    ):
        yield Running(client)


def _settings(server: Server, folder: Path, *, deadline_ms: int = 5_000) -> Settings:
    return Settings(
        data_dir=folder,
        clickhouse_url=server.address.url,
        pointer_poll_seconds=0.02,
        lookup_deadline_ms=deadline_ms,
        grpc_port=0,
    )


def ids(answer: dict) -> list[str]:
    return [item["product_id"] for item in answer["recommendations"]]


def test_answers_are_those_of_the_fake_store_for_everyone_everywhere(server: Server, tmp_path: Path) -> None:
    async def answers(running: Running) -> list[dict]:
        found = []
        for user_id in (ALICE, BOB, CAROL, DAVE, STRANGER):
            for channel in Channel:
                for kind in Kind:
                    one = await running.answer(user_id, channel=channel, kind=kind, locale="ru")
                    one.pop("rec_id")
                    found.append(one)
        return found

    async def scene() -> None:
        async with service(server, tmp_path) as real:
            from_clickhouse = await answers(real)
        fake = create_app(Settings(data_dir=tmp_path, lookup_deadline_ms=5_000), store=FakeStore(), clock=lambda: NOW)
        transport = httpx.ASGITransport(app=fake)
        async with (
            fake.router.lifespan_context(fake),
            httpx.AsyncClient(transport=transport, base_url=BASE) as client,
        ):
            assert from_clickhouse == await answers(Running(client))
        assert {one["tier"] for one in from_clickhouse} == {"personal", "segment", "popular"}

    asyncio.run(scene())


def test_a_rollback_is_followed_and_brings_no_blocked_item_back_on_any_way(
    server: Server, store: Store, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with (
            service(server, tmp_path) as running,
            running_grpc(_settings(server, tmp_path / "grpc"), clock=lambda: NOW) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):

            async def by_grpc(*, of: str = FIRST) -> list[str]:
                """From that snapshot: this service has a watch of its own."""
                request = pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB)
                while (
                    answer := await RecommendationServiceStub(channel).GetRecommendations(request)
                ).snapshot_id != of:
                    await asyncio.sleep(0.02)
                return [item.product_id for item in answer.recommendations]

            async def by_batch() -> list[str]:
                asked = {"user_ids": [str(ALICE)], "channel": "web"}
                return ids(orjson.loads((await running.client.post(f"{URL}/batch", json=asked)).content)["answers"][0])

            for ask in (by_grpc, by_batch):
                assert "loan_cash" in await ask()
            assert "loan_cash" in ids(await running.answer(ALICE))
            publish(store, SECOND, actor="test")
            moved = await running.until(lambda answer: answer["snapshot_id"] == SECOND)
            assert (ids(moved)[0], (await by_grpc(of=SECOND))[0]) == ("mortgage_new", "mortgage_new")
            block(store, "loan_cash", actor="test", why="a test")
            await running.until(lambda answer: answer["policy_hash"] != moved["policy_hash"])
            rollback(store, actor="test")
            back = await running.until(lambda answer: answer["snapshot_id"] == FIRST)
            assert ids(back)[0] == "mortgage_new"  # next on the first snapshot's list, once the loan is gone
            for ask in (by_grpc, by_batch):
                assert "loan_cash" not in await ask()
            unblock(store, "loan_cash", actor="test", why="the test is over")
            await running.until(lambda answer: ids(answer)[0] == "loan_cash")

    asyncio.run(scene())


def test_who_opted_out_is_read_from_states_and_events_as_this_service_hashes_them(
    server: Server, store: Store, tmp_path: Path
) -> None:
    def told(user_id: int, at: int, event_type: str) -> EventRow:
        return EventRow(user_id, at, FEEDBACK, event_type, f"{user_id}-{at}", "", "web", "", MAX_CUT_OFF, FOR_GOOD)

    states = {
        ALICE: UserState(consents=16 | 2),
        BOB: UserState(consents=31),
        CAROL: UserState(consents=16),
        DAVE: UserState(),
    }
    load_snapshot(store, tmp_path, snapshot_id="2026-03-14.1", states=states)
    put_events(store, [told(70, 1, "opted_out"), told(71, 1, "opted_out"), told(71, 2, "opted_in")])

    async def read() -> Mapping[Channel, Any]:
        reader = ClickHouseStore(server.address)
        try:
            return await reader.opted_out("2026-03-14.1", key="key")
        finally:
            await reader.close()

    found = asyncio.run(read())
    assert set(found[Channel.WEB].tolist()) == {user_hash("key", user_id) for user_id in (70, CAROL)}
    assert set(found[Channel.MOBILE].tolist()) == {user_hash("key", user_id) for user_id in (ALICE, CAROL)}


@pytest.fixture
def _bears_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.watch.POLL_SECONDS", 60)


@pytest.mark.usefixtures("_bears_a_slow_machine")
@pytest.mark.parametrize(("moves", "pause"), [(8, 0.1), pytest.param(60, 1.0, marks=pytest.mark.chaos)])
def test_no_answer_mixes_snapshots_or_fails_while_the_pointer_moves(
    server: Server, store: Store, tmp_path: Path, moves: int, pause: float
) -> None:
    """Over REST and gRPC."""
    expected = {
        FIRST: ["loan_cash", "card_gold", "cashback_all", "insurance_travel", "savings_daily", "deposit_year"],
        SECOND: ["mortgage_new", "card_gold", "deposit_year", "savings_daily", "insurance_travel"],
    }
    seen: set[tuple[str, str]] = set()

    async def over_rest(running: Running) -> None:
        answer = await running.answer(ALICE)
        assert ids(answer) == expected[answer["snapshot_id"]]
        seen.add(("rest", answer["snapshot_id"]))

    async def over_grpc(stub: Any) -> None:
        answer = await stub.GetRecommendations(pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB))
        assert [item.product_id for item in answer.recommendations] == expected[answer.snapshot_id]
        seen.add(("grpc", answer.snapshot_id))

    def move() -> None:
        for number in range(moves):
            publish(store, FIRST if number % 2 else SECOND, actor="test")
            time.sleep(pause)

    async def scene() -> None:
        is_over = asyncio.Event()

        async def again(ask: Callable[[], Awaitable[None]]) -> None:
            while not is_over.is_set():
                await ask()

        async with (
            service(server, tmp_path) as running,
            running_grpc(_settings(server, tmp_path / "grpc"), clock=lambda: NOW) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            stub = RecommendationServiceStub(channel)
            ways = [lambda: over_rest(running), lambda: over_grpc(stub)] * 4
            asking = [asyncio.create_task(again(ask)) for ask in ways]
            await asyncio.to_thread(move)
            is_over.set()
            await asyncio.gather(*asking)

    asyncio.run(scene())
    assert seen == {(way, snapshot_id) for way in ("rest", "grpc") for snapshot_id in (FIRST, SECOND)}


def test_concurrent_users_get_their_own_answers(server: Server, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(server, tmp_path) as running:
            users = [ALICE, BOB, CAROL, DAVE, STRANGER] * 40
            answers = await asyncio.gather(*(running.answer(user) for user in users))
            alone = {user: ids(await running.answer(user)) for user in set(users)}
        for user, answer in zip(users, answers, strict=True):
            assert answer["user_id"] == str(user)
            assert ids(answer) == alone[user]

    asyncio.run(scene())


def test_a_hanging_clickhouse_leaves_the_static_tier_until_it_goes_on(server: Server, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(server, tmp_path, deadline_ms=200) as running:
            await running.until(lambda answer: answer["tier"] == "personal")
            server.signal(signal.SIGSTOP)
            try:
                hanging = [await running.answer(ALICE) for _ in range(5)]
            finally:
                server.signal(signal.SIGCONT)
            assert {answer["tier"] for answer in hanging} == {"static"}
            assert {answer["snapshot_id"] for answer in hanging} == {FIRST}
            await running.until(lambda answer: answer["tier"] == "personal")

    asyncio.run(scene())


def test_a_killed_clickhouse_leaves_the_static_tier_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "clickhouse"

    async def scene(server: Server) -> None:
        async with service(server, tmp_path) as running:
            assert (await running.answer(ALICE))["tier"] == "personal"
            server.kill()
            gone = [await running.answer(ALICE) for _ in range(5)]
            assert {answer["tier"] for answer in gone} == {"static"}
            assert all(ids(answer) for answer in gone)
            await running.until_ready_for("static")
            with Server.started(folder, port=server.port):
                await running.until(lambda answer: answer["tier"] == "personal")

    with Server.started(folder) as server:
        migrate(server.address)
        with connected(server.address) as store:
            put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
            load_snapshot(store, tmp_path / "first", snapshot_id=FIRST)
            publish(store, FIRST, actor="test")
        asyncio.run(scene(server))


def test_a_service_started_before_its_database_becomes_personal_once_that_is_there(
    server: Server, tmp_path: Path
) -> None:
    async def scene() -> None:
        nowhere = Server(server.folder, server.process, Address(url="http://127.0.0.1:9"))
        async with service(nowhere, tmp_path) as early:
            assert (await early.answer(ALICE))["tier"] == "static"
        async with service(server, tmp_path) as running:
            assert (await running.answer(ALICE))["tier"] == "personal"
        # What was seen is kept: a restart without the database answers from it.
        async with service(nowhere, tmp_path) as late:
            answer = await late.answer(ALICE)
            assert (answer["tier"], answer["snapshot_id"]) == ("static", FIRST)

    asyncio.run(scene())


def test_the_store_reads_what_was_written(server: Server) -> None:
    async def scene() -> None:
        real, fake = ClickHouseStore(server.address), FakeStore()
        everyone = [ALICE, BOB, CAROL, DAVE, STRANGER]
        assert await real.look_up(FIRST, everyone, cut_off=0) == await fake.look_up(FIRST, everyone, cut_off=0)
        assert await real.fallback_lists(FIRST) == await fake.fallback_lists(FIRST)
        assert (await real.snapshot_items(FIRST)).equals(await fake.snapshot_items(FIRST))
        assert await real.rule_set() == await fake.rule_set()
        assert [row.snapshot_id for row in await real.snapshots()][:2] == [SECOND, FIRST]
        assert await real.look_up("2020-01-01.1", everyone, cut_off=0) == Found()
        (line,) = await real.portrait(FIRST, "card_gold")
        assert (line.feature, line.holders, line.holders_mean) == ("f_spend", 0, None)
        await real.close()

    asyncio.run(scene())


def test_the_service_runs_alone_and_its_access_log_names_no_user(server: Server, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "RECS_CLICKHOUSE_URL": server.address.url,
        "RECS_DATA_DIR": str(tmp_path),
        "RECS_LOOKUP_DEADLINE_MS": "5000",
    }
    command = [sys.executable, "-m", "uvicorn", "api.main:app", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as api:
        assert api.stdout is not None
        url = next(line for line in api.stdout if "running on" in line).split("running on ")[1].split()[0]
        response = httpx.get(f"{url}{URL}", params={"user_id": BOB, "channel": "web"})
        api.terminate()
        log = api.stdout.read()
    assert orjson.loads(response.content)["tier"] == "personal"
    assert "user_id=hash:" in log
    assert str(BOB) not in log
