"""Feedback, batches and exposures over HTTP, on a fake store and real outboxes; nobody takes the events away."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.models import Problem
from api.store import Pointers
from data_contracts.events import newest
from data_contracts.events.codec import Codec
from data_contracts.events.registry import KeptSchemas
from data_contracts.settings import Settings
from tests.day_world import ALICE, BOB, CAROL, DAVE, FIRST, NOW, PRODUCTS, STRANGER, FakeStore
from tests.experiment_samples import folder_of

URL = "/api/v1/recommendations"
Client = Callable[..., TestClient]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    running: list[TestClient] = []

    def start(store: FakeStore | None = None, *, now: Any = lambda: NOW, **more: Any) -> TestClient:
        settings = Settings(
            data_dir=tmp_path,
            pointer_poll_seconds=3_600,
            lookup_deadline_ms=5_000,
            clickhouse_url="http://127.0.0.1:9",
            **more,
        )
        one = TestClient(create_app(settings, store=store or FakeStore(), clock=now), raise_server_exceptions=False)
        running.append(one)
        return one.__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


def waiting(folder: Path, name: str) -> list[dict[str, Any]]:
    """What is in an outbox on disk, as the events that it would deliver."""
    with sqlite3.connect(folder / "api" / f"{name}.sqlite3") as database:
        rows = database.execute("SELECT event FROM waiting ORDER BY seq").fetchall()
    return [orjson.loads(event) for (event,) in rows]


def rec_id(client: TestClient, user_id: int = ALICE) -> str:
    return str(client.get(URL, params={"user_id": user_id, "channel": "web"}).json()["rec_id"])


def feedback(client: TestClient, **changes: Any) -> dict[str, Any]:
    return {
        "rec_id": changes.pop("rec_id", None) or rec_id(client),
        "user_id": str(ALICE),
        "event_type": "click",
        "timestamp": "2026-03-16T12:00:00+03:00",
        "context": {"product_id": "card_gold", "position": 2, "screen": "home"},
        **changes,
    }


def test_a_service_that_takes_no_feedback_says_where_it_belongs_and_still_logs_what_it_showed(
    client: Client, tmp_path: Path
) -> None:
    running = client(feedback="off")
    given = feedback(running)
    refused = running.post(f"{URL}/feedback", json=given)
    problem = Problem.model_validate_json(refused.content)
    assert (refused.status_code, problem.title) == (421, "Misdirected Request")
    assert "send it to the service" in problem.detail
    running.__exit__(None, None, None)
    assert waiting(tmp_path, "feedback") == []
    assert [event["rec_id"] for event in waiting(tmp_path, "exposures")] == [given["rec_id"]]


def test_feedback_is_kept_and_a_block_holds_while_all_other_threads_wait_for_something(client: Client) -> None:
    store, gate = FakeStore(), threading.Event()
    running = client(store)
    given = feedback(running)
    assert running.portal is not None

    async def fill() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(64):
            loop.run_in_executor(None, gate.wait)

    running.portal.call(fill)
    try:
        assert running.post(f"{URL}/feedback", json=given).status_code == 202
        store.pointer = Pointers(FIRST, 1, frozenset({"card_gold"}))
        running.portal.call(running.app.state.service.watch.poll)
        shown = running.get(URL, params={"user_id": ALICE, "channel": "web"}).json()["recommendations"]
        assert "card_gold" not in {item["product_id"] for item in shown}
    finally:
        gate.set()


def test_accepted_feedback_is_on_disk_as_an_event_of_its_topic(client: Client, tmp_path: Path) -> None:
    running = client()
    given = feedback(running)
    taken = running.post(f"{URL}/feedback", json=given)
    assert taken.status_code == 202
    assert taken.json() == {"id": taken.json()["id"], "status": "accepted", "is_expired": False}
    (event,) = waiting(tmp_path, "feedback")
    assert event == {
        "event_id": taken.json()["id"],
        "event_time": int(NOW.timestamp() * 1_000_000),
        "user_id": ALICE,
        "event_type": "clicked",
        "channel": "web",
        "rec_id": given["rec_id"],
        "item_id": "card_gold",
        "position": 2,
        "is_expired": False,
        "context": '{"position":2,"product_id":"card_gold","screen":"home"}',
    }
    codec = Codec(KeptSchemas())
    assert codec.decode("recommendation.feedback", codec.encode("recommendation.feedback", event)) == event
    assert set(event) == {field["name"] for field in newest("recommendation.feedback").parsed["fields"]}


def test_the_same_feedback_counts_once(client: Client, tmp_path: Path) -> None:
    running = client()
    given = feedback(running)

    def post(headers: dict[str, str] | None = None, **changes: Any) -> str:
        response = running.post(f"{URL}/feedback", json={**given, **changes}, headers=headers)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    same = {post(), post(), post(user_id=ALICE), post(timestamp="2026-03-16T09:00:00Z")}
    other = {post(event_type="dismiss"), post(context={}), post(timestamp="2026-03-16T09:00:01Z")}
    keyed = {post({"Idempotency-Key": "k"}), post({"Idempotency-Key": "k"}), post({"Idempotency-Key": "other"})}
    assert (len(same), len(other), len(keyed)) == (1, 3, 2)
    assert {event["event_id"] for event in waiting(tmp_path, "feedback")} == same | other | keyed


def test_a_key_that_was_used_for_other_feedback_is_refused_also_after_that_was_delivered(
    client: Client, tmp_path: Path
) -> None:
    running, headers = client(), {"Idempotency-Key": "k"}
    given = feedback(running)
    assert running.post(f"{URL}/feedback", json=given, headers=headers).status_code == 202
    with sqlite3.connect(tmp_path / "api" / "feedback.sqlite3") as database:
        database.execute("DELETE FROM waiting")
    assert running.post(f"{URL}/feedback", json=given, headers=headers).status_code == 202
    refused = running.post(f"{URL}/feedback", json={**given, "event_type": "purchase"}, headers=headers)
    assert refused.status_code == 422
    assert [error.field for error in Problem.model_validate_json(refused.content).errors] == ["Idempotency-Key"]
    assert waiting(tmp_path, "feedback") == []
    theirs = {**given, "user_id": str(BOB), "rec_id": rec_id(running, BOB)}
    assert running.post(f"{URL}/feedback", json=theirs, headers=headers).status_code == 202


def test_a_forged_rec_id_and_one_of_another_user_are_refused(client: Client, tmp_path: Path) -> None:
    running = client()
    given = feedback(running)
    forged = ("A" if given["rec_id"][5] != "A" else "B").join((given["rec_id"][:5], given["rec_id"][6:]))
    for changes in ({"rec_id": forged}, {"user_id": str(BOB)}, {"rec_id": "x"}, {"rec_id": "é" * 20}):
        refused = running.post(f"{URL}/feedback", json={**given, **changes})
        assert refused.status_code == 422
        assert [error.field for error in Problem.model_validate_json(refused.content).errors] == ["rec_id"]
    assert waiting(tmp_path, "feedback") == []


def test_feedback_on_an_expired_answer_is_accepted_and_flagged(client: Client, tmp_path: Path) -> None:
    now = [NOW]
    running = client(now=lambda: now[0])
    given = feedback(running)
    now[0] += timedelta(days=31)
    taken = running.post(f"{URL}/feedback", json=given)
    assert (taken.status_code, taken.json()["is_expired"]) == (202, True)
    assert [event["is_expired"] for event in waiting(tmp_path, "feedback")] == [True]


def test_a_full_outbox_says_when_to_come_again_and_keeps_what_it_has(client: Client, tmp_path: Path) -> None:
    running = client(feedback_outbox_events=1)
    given = feedback(running)
    assert running.post(f"{URL}/feedback", json=given).status_code == 202
    full = running.post(f"{URL}/feedback", json={**given, "event_type": "purchase"})
    assert (full.status_code, full.headers["content-type"]) == (503, "application/problem+json")
    assert int(full.headers["retry-after"]) > 0
    assert running.post(f"{URL}/feedback", json=given).status_code == 202  # is there already
    assert [event["event_type"] for event in waiting(tmp_path, "feedback")] == ["clicked"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event_type": "like"}, "event_type"),
        ({"timestamp": "2026-03-16T09:00:00"}, "timestamp"),
        ({"timestamp": "2026-03-16T09:06:00Z"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
        ({"timestamp": "1999-01-01T00:00:00Z"}, "timestamp"),
        ({"user_id": "-1"}, "user_id"),
        ({"context": {"position": 0}}, "context"),
        ({"context": {"product_id": 5}}, "context"),
        ({"context": {str(number): 1 for number in range(21)}}, "context"),
        ({"context": {"n": 2**60}}, "context"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_field_of_feedback_is_named(client: Client, tmp_path: Path, changes: dict, field: str) -> None:
    running = client()
    refused = running.post(f"{URL}/feedback", json=feedback(running, **changes))
    assert refused.status_code == 422
    assert field in [error.field for error in Problem.model_validate_json(refused.content).errors]
    assert waiting(tmp_path, "feedback") == []


def test_text_that_is_no_unicode_is_refused(client: Client) -> None:
    running = client()
    for name, text in (("rec_id", '"\\ud800"'), ("context", '{"a": "\\ud800"}'), ("context", '{"\\ud800": 1}')):
        body = orjson.dumps({**feedback(running), name: "?"}).decode().replace('"?"', text)
        response = running.post(f"{URL}/feedback", content=body, headers={"content-type": "application/json"})
        assert response.status_code == 422


def test_a_batch_gives_each_user_their_own_answer_in_order(client: Client) -> None:
    running = client()
    users = [BOB, STRANGER, ALICE, DAVE, CAROL, ALICE]
    context = {"screen": "cards", "placement": "feed", "search": "вклад", "cart": ["loan_cash"]}
    asked = {
        "user_ids": [str(user) for user in users],
        "channel": "web",
        "top_k": 3,
        "locale": "ru",
        "context": context,
    }
    answers = running.post(f"{URL}/batch", json=asked).json()["answers"]
    said = {f"context.{name}": value for name, value in context.items()}
    params = {"channel": "web", "top_k": 3, "locale": "ru", **said}
    assert [item["kind"] for item in answers[2]["recommendations"]] == ["product", "product", "offer"]
    assert answers == [running.get(URL, params={"user_id": user, **params}).json() for user in users]


def test_a_batch_of_a_thousand_users_takes_few_queries_and_one_more_is_refused(client: Client) -> None:
    store = FakeStore()
    running = client(store)
    store.asked.clear()
    asked = {"user_ids": list(range(1_000)), "channel": "crm"}
    assert len(running.post(f"{URL}/batch", json=asked).json()["answers"]) == 1_000
    assert len(store.asked) <= 4
    for users in (list(range(1_001)), []):
        assert running.post(f"{URL}/batch", json={**asked, "user_ids": users}).status_code == 422


def test_families_and_exclusions_leave_the_rest_to_fill_the_answer(client: Client) -> None:
    running = client()

    def ids(**params: Any) -> list[str]:
        answer = running.get(URL, params={"user_id": ALICE, "channel": "web", **params}).json()
        return [item["product_id"] for item in answer["recommendations"]]

    assert ids(families=["card", "cashback"]) == ["card_gold", "cashback_all"]
    assert ids(exclude=["loan_cash", "card_gold"], top_k=2) == ["mortgage_new", "cashback_all"]
    assert ids(families=["premium"]) == []
    assert ids(kind="offer", exclude=["offer_a"])[0] == "offer_b"
    posted = {"user_ids": [str(ALICE)], "channel": "web", "families": ["card"]}
    (answer,) = running.post(f"{URL}/batch", json=posted).json()["answers"]
    assert [item["product_id"] for item in answer["recommendations"]] == ["card_gold"]


def test_each_answer_is_an_exposure_of_its_topic(client: Client, tmp_path: Path) -> None:
    running = client()
    params = {"user_id": ALICE, "channel": "web", "top_k": 2, "exclude": "mortgage_new"}
    answer = running.get(URL, params=params).json()
    running.post(f"{URL}/batch", json={"user_ids": [BOB, DAVE], "channel": "crm"})
    running.__exit__(None, None, None)  # what is in memory is written before the service ends
    first, *others = waiting(tmp_path, "exposures")
    items = first.pop("items")
    assert [(one["item_id"], one["position"], one["tier"]) for one in items] == [
        ("loan_cash", 1, "personal"),
        ("card_gold", 2, "personal"),
    ]
    assert first["rec_id"] == answer["rec_id"]
    assert (first["snapshot_id"], first["policy_hash"], first["tier"]) == (FIRST, answer["policy_hash"], "personal")
    assert (first["top_k"], first["exclude"], first["arm"]) == (2, ["mortgage_new"], "control")
    assert [(one["user_id"], one["channel"]) for one in others] == [(BOB, "crm"), (DAVE, "crm")]
    event, codec = {**first, "items": items}, Codec(KeptSchemas())
    assert codec.decode("recommendation.exposures", codec.encode("recommendation.exposures", event)) == event
    running.__enter__()


def test_an_exposure_tells_every_arm_and_what_was_drawn_as_single_and_batched_answers_do(
    client: Client, tmp_path: Path
) -> None:
    arms = {"a": {"share": 0.5}, "b": {"share": 0.5}}
    running = client(
        experiments=folder_of(tmp_path / "on", {}, {"name": "looks", "salt": "two", "layer": "looks", "arms": arms}),
        exploration_share=0.2,
    )
    users = list(range(2_000, 2_060))
    singles = [running.get(URL, params={"user_id": one, "channel": "web", "kind": "product"}).json() for one in users]
    body = {"user_ids": users, "channel": "web", "kind": "product", "top_k": 10}
    batched = running.post(f"{URL}/batch", json=body).json()["answers"]
    running.__exit__(None, None, None)
    told = waiting(tmp_path, "exposures")
    for single, batch, event in zip(singles, batched, told, strict=False):
        assert batch["recommendations"][: len(single["recommendations"])] == single["recommendations"]
        assert single["experiment"] == batch["experiment"] == {"name": "lists", "arm": event["arm"]}
        assert [one["experiment"] for one in event["assignments"]] == ["lists", "looks"]
        drawn = [one["propensity"] for one in event["items"]]
        assert len(drawn) == len(single["recommendations"]) and min(drawn) < 1
    assert {event["assignments"][1]["arm"] for event in told} == {"a", "b"}
    assert any(one["propensity"] < 0.5 for event in told for one in event["items"])
    running.__enter__()


def test_an_exposure_keeps_what_a_context_came_to_and_no_words_of_the_search(client: Client, tmp_path: Path) -> None:
    running = client()
    said = {"screen": "chat", "placement": "feed", "search": "deposit zzyzx", "cart": "offer_z"}
    params = {"user_id": ALICE, "channel": "web", **{f"context.{name}": value for name, value in said.items()}}
    assert running.get(URL, params=params).status_code == 200
    wrong = {"user_ids": [ALICE], "channel": "web", "context": {"search": "zzyzx", "screen": "cellar", "cart": [1]}}
    refused = running.post(f"{URL}/batch", json=wrong)
    told = Problem.model_validate_json(refused.content).errors
    assert (refused.status_code, [one.field for one in told]) == (422, ["context.screen", "context.cart"])
    assert "zzyzx" not in refused.text
    running.__exit__(None, None, None)
    (event,) = waiting(tmp_path, "exposures")
    assert (event["kind"], event["screen"], event["placement"]) == ("mixed", "chat", "feed")
    assert (event["search_family"], event["cart"], event["basket_product"]) == ("deposit", ["offer_z"], None)
    assert not any(b"zzyzx" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    codec = Codec(KeptSchemas())
    assert codec.decode("recommendation.exposures", codec.encode("recommendation.exposures", event)) == event
    running.__enter__()


def test_exposures_that_find_no_room_are_counted_and_answers_go_on(client: Client) -> None:
    running = client(FakeStore(pointer=Pointers(FIRST, 1)), exposures_outbox_events=1)
    for _ in range(3):
        assert running.get(URL, params={"user_id": ALICE, "channel": "web"}).status_code == 200
    log = running.app.state.service.out.exposures
    log.stop(seconds=10)
    assert (log.logged, log.dropped) == (1, 2)


def test_the_products_are_listed_with_what_stops_them(client: Client) -> None:
    running = client(FakeStore(pointer=Pointers(FIRST, 1, frozenset({"card_gold"}))))
    listed = {one["product_id"]: one for one in running.get("/api/v1/products").json()["products"]}
    assert set(listed) == set(PRODUCTS)
    assert [one for one, told in listed.items() if told["is_blocked"]] == ["card_gold"]
    assert (listed["cashback_all"]["channels"], listed["cashback_all"]["family"]) == (["web"], "cashback")


def test_a_portrait_is_of_the_served_snapshot_and_there_is_none_of_an_unknown_product(client: Client) -> None:
    running = client()
    told = running.get("/api/v1/products/card_gold/portrait").json()
    line = {"feature": "f_spend", "holders_mean": 1.5, "everyone_mean": None}
    assert told == {"product_id": "card_gold", "snapshot_id": FIRST, "holders": 2, "features": [line]}
    for product_id in ("card_debit", "nothing", "' OR 1=1 --"):
        missing = running.get(f"/api/v1/products/{product_id}/portrait")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
