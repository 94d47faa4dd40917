"""The service over HTTP, on a fake store: shapes, errors, tiers, and what it keeps to itself."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.models import Problem, Readiness, Recommendations
from api.openapi import PATH, contract
from api.static_copy import SHIPPED, StaticCopy
from api.store import Pointers
from data_contracts.errors import UnavailableError
from data_contracts.rec_id import RecId, verified
from data_contracts.scores import dequantise
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel
from tests.day_world import ALICE, BOB, FIRST, NOW, SECOND, STRANGER, FakeStore

URL = "/api/v1/recommendations"
Client = Callable[..., TestClient]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Starts the service on a store; polls of the pointer are left to the test."""
    running: list[TestClient] = []

    def start(store: FakeStore, *, deadline_ms: int = 5_000, **more: Any) -> TestClient:
        settings = Settings(data_dir=tmp_path, pointer_poll_seconds=3_600, lookup_deadline_ms=deadline_ms, **more)
        one = TestClient(create_app(settings, store=store, clock=lambda: NOW), raise_server_exceptions=False)
        running.append(one)
        return one.__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


def poll(client: TestClient) -> None:
    assert client.portal is not None
    client.portal.call(client.app.state.service.watch.poll)


def answer(client: TestClient, user_id: int | str, **params: Any) -> Recommendations:
    response = client.get(URL, params={"user_id": user_id, "channel": "web", **params})
    assert response.status_code == 200, response.text
    return Recommendations.model_validate_json(response.content)


def test_an_answer_says_what_it_is(client: Client) -> None:
    response = client(FakeStore()).get(URL, params={"user_id": ALICE, "channel": "web", "top_k": 1})
    body = orjson.loads(response.content)
    assert response.headers["content-type"] == "application/json"
    assert verified(body.pop("rec_id"), user_id=ALICE, key=b"development-only") == RecId(
        Channel.WEB, FIRST, body.pop("policy_hash"), NOW
    )
    assert body == {
        "user_id": "1",
        "timestamp": "2026-03-16T09:00:00.000Z",
        "snapshot_id": FIRST,
        "snapshot_age_s": 36 * 3600,  # since 00:00 of the 15th in Moscow
        "tier": "personal",
        "variant": "personal",
        "experiment": None,
        "recommendations": [
            {
                "product_id": "loan_cash",
                "product_name": "The loan_cash",
                "kind": "product",
                "family": "loan",
                "score": pytest.approx(dequantise(40_000), rel=1e-5),
                "tier": "personal",
                "reasons": [{"code": 1, "text": "Fits what you spend on"}, {"code": 2, "text": "Popular now"}],
            }
        ],
    }


def test_names_and_reasons_come_in_the_asked_language(client: Client) -> None:
    first = answer(client(FakeStore()), ALICE, locale="ru").recommendations[0]
    assert (first.product_name, first.reasons[0].text) == ("Продукт loan_cash", "Подходит к тратам")


def test_an_offer_without_a_name_is_called_by_its_id(client: Client) -> None:
    names = [item.product_name for item in answer(client(FakeStore()), ALICE, kind="offer").recommendations]
    assert names[:2] == ["The offer_a", "offer_b"]


def test_a_user_id_beyond_the_digits_of_javascript_keeps_them(client: Client) -> None:
    response = client(FakeStore()).get(URL, params={"user_id": str(BOB), "channel": "web"})
    assert orjson.loads(response.content)["user_id"] == "9007199254740993"


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"user_id": "abc"}, "user_id"),
        ({"user_id": "1.0"}, "user_id"),
        ({"user_id": "-1"}, "user_id"),
        ({"user_id": str(2**63)}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"user_id": "1' OR 1=1"}, "user_id"),
        ({"channel": "fax"}, "channel"),
        ({"channel": None}, "channel"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 101}, "top_k"),
        ({"top_k": "ten"}, "top_k"),
        ({"kind": "song"}, "kind"),
        ({"locale": "fr"}, "locale"),
        ({"exclude": "x" * 129}, "exclude"),
        ({"context.screen": "cellar"}, "context.screen"),
        ({"context.placement": ""}, "context.placement"),
        ({"context.search": "x" * 257}, "context.search"),
        ({"context.cart": [""]}, "context.cart"),
        ({"context.cart": ["x"] * 51}, "context.cart"),
        ({"context.basket_product": "x" * 129}, "context.basket_product"),
        ({"context.colour": "red"}, "context.colour"),
    ],
)
def test_a_bad_parameter_is_a_problem_that_names_the_field(client: Client, params: dict, field: str) -> None:
    given = {"user_id": "1", "channel": "web", **params}
    store = FakeStore()
    running = client(store)
    store.asked.clear()
    response = running.get(URL, params={name: value for name, value in given.items() if value is not None})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert [error.field for error in problem.errors] == [field]
    assert field in problem.detail
    assert store.asked == []


@pytest.mark.parametrize("user_id", [0, 2**63 - 1])
def test_the_smallest_and_the_largest_user_id_are_answered(client: Client, user_id: int) -> None:
    assert answer(client(FakeStore()), user_id).user_id == user_id


@pytest.mark.parametrize(("path", "method", "status"), [("/nowhere", "GET", 404), (URL, "POST", 405)])
def test_other_errors_are_problems_too(client: Client, path: str, method: str, status: int) -> None:
    response = client(FakeStore()).request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert Problem.model_validate_json(response.content).status == status


def test_a_database_that_was_never_there_leaves_the_copy_that_ships(client: Client) -> None:
    away = FakeStore(failure=UnavailableError("nobody there"))
    given = answer(client(away), ALICE)
    assert given.tier == "static"
    assert (given.snapshot_id, given.snapshot_age_s) == (None, None)
    assert {item.product_id for item in given.recommendations} <= set(StaticCopy.load(SHIPPED).rules.static_popular)
    assert given.recommendations


def test_after_a_restart_without_a_database_the_last_good_popular_list_is_answered(client: Client) -> None:
    client(FakeStore(pointer=Pointers(FIRST, 1, frozenset({"card_debit"}))))
    restarted = client(FakeStore(failure=UnavailableError("gone")))
    given = answer(restarted, ALICE)
    assert (given.tier, given.snapshot_id) == ("static", FIRST)
    assert [item.product_id for item in given.recommendations] == ["savings_daily", "deposit_year"]  # no blocked one
    offers = answer(restarted, ALICE, kind="offer")
    assert [item.product_id for item in offers.recommendations] == ["offer_d", "offer_e"]
    assert offers.recommendations[0].score is not None


def test_a_broken_copy_on_disk_gives_way_to_the_one_that_ships(client: Client, tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "static_copy.json").write_text("{")
    assert answer(client(FakeStore(failure=UnavailableError("gone"))), ALICE).recommendations


@pytest.mark.parametrize("failure", [UnavailableError("gone"), RuntimeError("what nobody foresaw")])
def test_a_database_that_fails_leaves_memory(client: Client, failure: Exception) -> None:
    store = FakeStore()
    running = client(store)
    assert answer(running, ALICE).tier == "personal"
    store.failure = failure
    given = answer(running, ALICE)
    assert (given.tier, given.snapshot_id) == ("static", FIRST)
    assert [item.product_id for item in given.recommendations] == ["card_debit", "savings_daily", "deposit_year"]
    store.failure = None
    assert answer(running, ALICE).tier == "personal"


def test_a_slow_database_is_not_waited_for_beyond_the_deadline(client: Client) -> None:
    store = FakeStore()
    running = client(store, deadline_ms=20)
    store.delay = 3_600
    assert answer(running, ALICE).tier == "static"
    store.delay = 0
    assert answer(running, ALICE).tier == "personal"


def test_a_failed_poll_spares_look_ups_the_deadline_until_the_next_good_one(client: Client) -> None:
    store = FakeStore()
    running = client(store)
    store.failure = UnavailableError("gone")
    poll(running)
    store.failure = None
    store.asked.clear()
    assert answer(running, ALICE).tier == "static"
    assert store.asked == []
    poll(running)
    assert answer(running, ALICE).tier == "personal"


def test_the_pointers_are_followed_by_polls_and_never_by_requests(client: Client) -> None:
    store = FakeStore()
    running = client(store)
    store.pointer = Pointers(SECOND, 1)
    assert answer(running, ALICE).snapshot_id == FIRST
    poll(running)
    assert answer(running, ALICE).snapshot_id == SECOND
    assert store.asked[-1] == (SECOND, (ALICE,))


def test_a_block_changes_answers_and_their_policy_hash(client: Client) -> None:
    store = FakeStore()
    running = client(store)
    before = answer(running, ALICE)
    store.pointer = Pointers(FIRST, 1, frozenset({"card_gold"}))
    poll(running)
    after = answer(running, ALICE)
    assert "card_gold" in {item.product_id for item in before.recommendations}
    assert "card_gold" not in {item.product_id for item in after.recommendations}
    assert before.policy_hash != after.policy_hash


def test_a_block_holds_even_if_the_new_snapshot_cannot_be_loaded(client: Client) -> None:
    store = FakeStore()
    running = client(store)
    store.items = store.items.drop_columns(["kind"])
    store.pointer = Pointers(SECOND, 1, frozenset({"card_gold"}))
    poll(running)
    given = answer(running, ALICE)
    assert (given.tier, given.snapshot_id) == ("personal", FIRST)
    assert "card_gold" not in {item.product_id for item in given.recommendations}
    ready = Readiness.model_validate_json(running.get("/readyz").content)
    assert (ready.tier, ready.snapshot_id) == ("personal", FIRST)
    assert SECOND in ready.reasons[0]


@dataclass
class SlowlyLoading(FakeStore):
    """The second snapshot is not read before `gate` is open."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def snapshot_items(self, snapshot_id: str) -> pa.Table:
        if snapshot_id == SECOND:
            await self.gate.wait()
        return await super().snapshot_items(snapshot_id)


def test_a_block_holds_while_a_snapshot_is_still_loading_and_after_it(client: Client) -> None:
    store = SlowlyLoading()
    running = client(store)
    store.pointer = Pointers(SECOND, 1)
    poll(running)
    store.pointer = Pointers(SECOND, 1, frozenset({"card_gold"}))
    poll(running)
    meanwhile = answer(running, ALICE)
    assert running.portal is not None
    running.portal.call(store.gate.set)
    poll(running)
    after = answer(running, ALICE)
    assert (meanwhile.snapshot_id, after.snapshot_id) == (FIRST, SECOND)
    assert "card_gold" not in {one.product_id for given in (meanwhile, after) for one in given.recommendations}


def test_a_snapshot_that_the_pointer_left_while_it_loaded_is_never_served(client: Client) -> None:
    store = SlowlyLoading()
    running = client(store)
    store.pointer = Pointers(SECOND, 1)
    poll(running)
    store.pointer = Pointers(FIRST, 1)
    poll(running)
    assert running.portal is not None
    running.portal.call(store.gate.set)
    poll(running)
    assert answer(running, ALICE).snapshot_id == FIRST


def test_an_answer_of_the_database_that_nobody_foresaw_is_an_outage_that_ends(client: Client) -> None:
    store = FakeStore()
    running = client(store)
    store.failure = ValueError("half an answer")
    poll(running)
    assert "half an answer" in Readiness.model_validate_json(running.get("/readyz").content).reasons[0]
    store.failure = None
    poll(running)
    assert answer(running, ALICE).tier == "personal"


def test_a_database_that_hangs_is_asked_for_no_more_parts_of_a_batch(client: Client) -> None:
    store = FakeStore()
    running = client(store, deadline_ms=20)
    store.delay = 3_600
    store.asked.clear()
    body = {"user_ids": list(range(1, 1_001)), "channel": "web"}
    answers = running.post(f"{URL}/batch", json=body).json()["answers"]
    assert (len(answers), {one["tier"] for one in answers}) == (1_000, {"static"})
    assert len(store.asked) == 2


def test_who_opted_out_is_shown_nothing_there_from_memory_also_after_a_restart(client: Client, tmp_path: Path) -> None:
    store = FakeStore(withdrawn={Channel.MOBILE: [BOB], Channel.WEB: [BOB, ALICE]})

    def shown(running: TestClient) -> dict[tuple[int, str], bool]:
        asked = [(user_id, channel) for user_id in (ALICE, BOB, STRANGER) for channel in ("web", "mobile")]
        answers = {(user_id, channel): answer(running, user_id, channel=channel) for user_id, channel in asked}
        assert {one.tier for one in answers.values()} == {"static"}
        batch = running.post(f"{URL}/batch", json={"user_ids": [ALICE, STRANGER], "channel": "web"}).json()["answers"]
        assert [bool(one["recommendations"]) for one in batch] == [False, True]
        return {one: bool(given.recommendations) for one, given in answers.items()}

    running = client(store)
    assert answer(running, ALICE).recommendations  # who can be looked up is answered by what is found
    while not (tmp_path / "api" / "opted_out.npz").exists():
        time.sleep(0.01)
    store.failure = UnavailableError("gone")
    poll(running)
    expected = {
        (ALICE, "web"): False,
        (ALICE, "mobile"): True,
        (BOB, "web"): False,
        (BOB, "mobile"): False,
        (STRANGER, "web"): True,
        (STRANGER, "mobile"): True,
    }
    assert shown(running) == expected
    assert shown(client(store)) == expected


def test_a_product_whose_sale_ended_yesterday_is_gone_after_midnight(tmp_path: Path) -> None:
    store = FakeStore()
    assert store.rules is not None
    ending = [
        one.model_copy(update={"on_sale_to": NOW.date()}) if one.product_id == "card_gold" else one
        for one in store.rules.catalogue.products
    ]
    catalogue = store.rules.catalogue.model_copy(update={"products": tuple(ending)})
    store.rules = type(store.rules)(catalogue, store.rules.rules, store.rules.reasons)
    now = [NOW]
    settings = Settings(data_dir=tmp_path, pointer_poll_seconds=3_600, lookup_deadline_ms=5_000)
    with TestClient(create_app(settings, store=store, clock=lambda: now[0])) as running:
        assert "card_gold" in {item.product_id for item in answer(running, ALICE).recommendations}
        now[0] += timedelta(hours=12)  # 21:00 UTC is midnight in Moscow
        poll(running)
        assert "card_gold" not in {item.product_id for item in answer(running, ALICE).recommendations}


def test_readiness_tells_the_tier_and_what_is_in_the_way(client: Client) -> None:
    def ready(store: FakeStore) -> Readiness:
        return Readiness.model_validate_json(client(store).get("/readyz").content)

    up = ready(FakeStore())
    assert (up.tier, up.reasons, up.snapshot_id) == ("personal", [], FIRST)
    empty = ready(FakeStore(pointer=Pointers()))
    assert (empty.tier, empty.reasons) == ("static", ["no snapshot is published"])
    late, deaf = ready(FakeStore(lag=42)), ready(FakeStore(lag=None))
    assert (late.tier, deaf.tier) == ("personal", "personal")
    assert ("42 s behind" in late.reasons[0], "no overlay writer" in deaf.reasons[0]) == (True, True)
    down = ready(FakeStore(failure=UnavailableError("nobody there")))
    assert (down.tier, down.reasons) == ("static", ["nobody there"])


def test_health_and_snapshots(client: Client) -> None:
    store = FakeStore()
    running = client(store)
    assert running.get("/healthz").json() == {"status": "ok"}
    held = running.get("/api/v1/snapshots").json()
    assert held["current"] == FIRST
    assert [(one["snapshot_id"], one["is_current"]) for one in held["snapshots"]] == [(FIRST, True)]
    store.failure = UnavailableError("gone")
    gone = running.get("/api/v1/snapshots")
    assert (gone.status_code, Problem.model_validate_json(gone.content).detail) == (503, "gone")


def test_the_access_log_shows_a_hash_in_place_of_a_user_id(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client(FakeStore())
    with caplog.at_level(logging.INFO, logger="uvicorn.access"):
        path = f"{URL}?user_id={STRANGER}123456&channel=web"
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", path, "1.1", 200)
    assert f"{STRANGER}123456" not in caplog.text
    assert "user_id=hash:" in caplog.text
    assert "&channel=web" in caplog.text


def test_the_committed_contract_is_current() -> None:
    assert PATH.read_bytes() == contract(), "run python -m api.openapi"


def test_everything_in_the_shipped_copy_is_safe_for_anyone() -> None:
    shipped = StaticCopy.load(SHIPPED)
    assert shipped.rules.static_popular
    assert all(product.safe_for_anyone for product in shipped.catalogue.products)
