"""The look-up as a Cloud Function: events of API Gateway get the answers that REST gives."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from data_contracts.settings import Settings
from infra.functions.lookup import handler as lookup
from tests.day_world import NOW, FakeStore

PATH = "/api/v1/recommendations"
# Of each answer its own: when and by whom it was asked for.
OWN = {"rec_id", "generated_at", "request_id"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, pointer_poll_seconds=3_600, feedback="off")


@pytest.fixture
def function(settings: Settings) -> Iterator[lookup.Application]:
    made = lookup.Application(create_app(settings, store=FakeStore(), clock=lambda: NOW))
    yield made
    made.close()


@pytest.fixture
def rest(settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    other = settings.model_copy(update={"data_dir": tmp_path / "rest"})
    with TestClient(create_app(other, store=FakeStore(), clock=lambda: NOW)) as client:
        yield client


def event(method: str = "GET", path: str = PATH, **more: Any) -> dict[str, Any]:
    """As API Gateway sends it, payload format 0.1."""
    return {
        "httpMethod": method,
        "path": path,
        "url": path,
        "headers": {"Host": "d5d.apigw.example", "User-Agent": "app/1"},
        "multiValueHeaders": {"Host": ["d5d.apigw.example"], "User-Agent": ["app/1"]},
        "queryStringParameters": {},
        "multiValueQueryStringParameters": {},
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}, "httpMethod": method, "requestId": "r"},
        "body": "",
        "isBase64Encoded": True,
        **more,
    }


def asked(**parameters: Any) -> dict[str, Any]:
    many = {name: value if isinstance(value, list) else [value] for name, value in parameters.items()}
    single = {name: values[-1] for name, values in many.items()}
    return {"queryStringParameters": single, "multiValueQueryStringParameters": many}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return {name: one[name] for name in one.keys() - OWN} == {name: other[name] for name in other.keys() - OWN}


@pytest.mark.parametrize(
    "question",
    [
        {"user_id": "1", "channel": "web"},
        {"user_id": "1", "channel": "mobile", "top_k": "3", "locale": "ru"},
        {"user_id": "1", "channel": "web", "families": ["card", "loan"], "exclude": ["card_gold"]},
        {"user_id": "99", "channel": "web", "context.search": "дебетовая карта"},
        {"user_id": "one", "channel": "web"},
        {"user_id": "1"},
    ],
)
def test_a_look_up_gets_the_answer_of_rest(
    function: lookup.Application, rest: TestClient, question: dict[str, Any]
) -> None:
    answer, expected = function.answer(event(**asked(**question))), rest.get(PATH, params=question)
    assert answer["statusCode"] == expected.status_code
    assert answer["headers"]["content-type"] == expected.headers["content-type"]
    assert not answer["isBase64Encoded"]
    assert same(json.loads(answer["body"]), expected.json())


@pytest.mark.parametrize("is_base64", [True, False])
def test_a_batch_comes_with_its_body_as_it_is_or_in_base64(
    function: lookup.Application, rest: TestClient, is_base64: bool
) -> None:
    body = json.dumps({"user_ids": [1, 2], "channel": "web"})
    sent = base64.b64encode(body.encode()).decode() if is_base64 else body
    given = event("POST", f"{PATH}/batch", body=sent, isBase64Encoded=is_base64)
    given["multiValueHeaders"] = {"Content-Type": ["application/json"]}
    answers = json.loads(function.answer(given)["body"])["answers"]
    expected = rest.post(f"{PATH}/batch", content=body, headers={"Content-Type": "application/json"}).json()["answers"]
    assert len(answers) == 2 and all(map(same, answers, expected))


def test_tokens_are_asked_for_as_by_rest(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, auth="on", pointer_poll_seconds=3_600)
    function = lookup.Application(create_app(settings, store=FakeStore(), clock=lambda: NOW))
    try:
        refused = function.answer(event(**asked(user_id="1", channel="web")))
        assert refused["statusCode"] in (401, 503)
        headers = {"Authorization": ["Bearer forged"]}
        given = {**event(**asked(user_id="1", channel="web")), "multiValueHeaders": headers}
        assert function.answer(given)["statusCode"] in (401, 503)
    finally:
        function.close()


def test_feedback_and_what_is_no_base64_are_refused(function: lookup.Application) -> None:
    rec_id = json.loads(function.answer(event(**asked(user_id="1", channel="web")))["body"])["rec_id"]
    click = {"rec_id": rec_id, "user_id": 1, "event_type": "click", "timestamp": NOW.isoformat()}
    given = event("POST", f"{PATH}/feedback", body=json.dumps(click), isBase64Encoded=False)
    given["multiValueHeaders"] = {"Content-Type": ["application/json"]}
    assert function.answer(given)["statusCode"] == 421
    broken = function.answer(event("POST", f"{PATH}/batch", body="&&&"))
    assert (broken["statusCode"], json.loads(broken["body"])["status"]) == (400, 400)


def test_an_event_without_anything_is_answered_too(function: lookup.Application) -> None:
    assert function.answer({})["statusCode"] == 404
