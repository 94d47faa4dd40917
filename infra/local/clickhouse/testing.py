"""A pytest fixture to import into a conftest: one ClickHouse a test session, embedded or the one in CLICKHOUSE_URL."""

import os
from collections.abc import Iterator

import pytest

from infra.local.clickhouse.running import running_clickhouse


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get("CLICKHOUSE_URL")
    if given:
        yield given
    else:
        with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as url:
            yield url
