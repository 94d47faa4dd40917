"""Schemathesis in scenarios: what one call answers goes into the next, and no call ends in an error of ours."""

from pathlib import Path
from typing import Any

import schemathesis
from fastapi.testclient import TestClient

from api.app import create_app
from data_contracts.settings import Settings
from tests.call_chains import follow_chains
from tests.day_world import NOW, FakeStore


def test_no_chain_of_calls_ends_in_an_error_of_ours(tmp_path: Path) -> None:
    started = Settings(data_dir=tmp_path, clickhouse_url="http://127.0.0.1:9", pointer_poll_seconds=3_600)
    app = create_app(started, store=FakeStore(), clock=lambda: NOW)

    with TestClient(app, raise_server_exceptions=False) as client:

        def send(case: schemathesis.Case) -> Any:
            sent = case.as_transport_kwargs(base_url="http://testserver")
            response = client.request(**{name: given for name, given in sent.items() if name != "cookies"})
            # 503 is an honest answer here: there is no database behind the operators' calls.
            assert response.status_code < 500 or response.status_code == 503, response.text
            return response

        statuses = follow_chains(app, send, examples=16)
    # That chains are followed at all; which ids are drawn depends on what else the process has imported.
    assert {"GET /api/v1/products", "GET /api/v1/products/{product_id}/portrait"} <= {label for label, _ in statuses}
