"""Stores to test with: a database of its own for every test, on one server."""

import os
import uuid
from collections.abc import Iterator

import clickhouse_connect
import pytest

from infra.local.clickhouse.testing import clickhouse_url
from sql.client import Address, Store, connected
from sql.migrate import migrate

__all__ = ["clickhouse_url"]


@pytest.fixture
def address(clickhouse_url: str) -> Iterator[Address]:
    """An empty, migrated database."""
    database = f"test_{uuid.uuid4().hex}"
    address = Address(url=clickhouse_url, database=database)
    migrate(address)
    yield address
    with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
        client.command("DROP DATABASE {database:Identifier} SYNC", parameters={"database": database})


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    with connected(address) as store:
        yield store


@pytest.fixture
def clickhouse_is_embedded() -> bool:
    return "CLICKHOUSE_URL" not in os.environ
