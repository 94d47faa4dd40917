"""The short way of a look-up answers as the long one does, and leaves to it whatever is not plain."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import express
from api.app import create_app
from api.express import plain
from data_contracts.settings import Settings
from tests.day_world import ALICE, BOB, NOW, FakeStore

Ask = Callable[[str], tuple[int, bytes]]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ask, Ask]]:
    """The service as it is, and without the short way."""
    folder = tmp_path_factory.mktemp("express")
    started = Settings(data_dir=folder, clickhouse_url="http://127.0.0.1:9", pointer_poll_seconds=3_600)
    app = create_app(started.model_copy(update={"lookup_deadline_ms": 5_000}), store=FakeStore(), clock=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as client, pytest.MonkeyPatch.context() as patch:

        def ask(query: str) -> tuple[int, bytes]:
            response = client.get(f"/api/v1/recommendations?{query}")
            return response.status_code, response.content

        def ask_the_long_way(query: str) -> tuple[int, bytes]:
            with patch.context() as only:
                only.setattr(express, "plain", lambda _: None)
                return ask(query)

        yield ask, ask_the_long_way


def parameters() -> st.SearchStrategy[str]:
    values: dict[str, list[Any]] = {
        "user_id": [ALICE, BOB, "007", 2**63 - 1, 2**63, -1, "1.0", "", "%31", "+1", "1_0", "%D9%A1"],
        "channel": ["web", "mobile", "crm", "fax", "", "WEB", "w%65b"],
        "top_k": [1, 3, 100, 0, 101, "03", "", "-1", "1e1"],
        "kind": ["product", "offer", "song", ""],
        "locale": ["en", "ru", "fr"],
        "families": ["card", "loan", "none"],
        "exclude": ["card_gold", ""],
        "new": ["x"],
    }
    pairs = st.sampled_from([f"{name}={value}" for name, listed in values.items() for value in listed])
    usual = st.tuples(st.sampled_from(["user_id=1", "user_id=3", ""]), st.sampled_from(["channel=web", ""]))
    return st.tuples(usual, st.lists(pairs, max_size=4)).map(lambda both: "&".join([*filter(None, both[0]), *both[1]]))


@given(query=parameters())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_both_ways_say_the_same(ways: tuple[Ask, Ask], query: str) -> None:
    short, long = ways
    assert short(query) == long(query)


def test_what_apps_ask_takes_the_short_way_and_what_is_odd_does_not() -> None:
    assert plain(b"user_id=1042&channel=web&top_k=3&locale=ru&kind=offer") is not None
    for odd in (
        b"user_id=1042",
        b"user_id=x&channel=web",
        b"user_id=1&user_id=2&channel=web",
        b"user_id=1&channel=web&x=y",
    ):
        assert plain(odd) is None
