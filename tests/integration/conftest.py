"""One small world in a real ClickHouse for all tests of bulk lists and exports: who changes it, puts it back."""

from collections.abc import Iterator

import numpy as np
import pytest

from infra.local.clickhouse.running import running_clickhouse
from sql.client import Address, connected
from sql.migrate import migrate
from sql.pointer import publish
from sql.rules import put_rule_set
from sql.user_events import put_events
from tests.bulk_world import some_events, some_lists, some_states
from tests.day_snapshots import load_snapshot
from tests.day_world import CATALOGUE, FIRST, REASONS, RULES, SECOND


@pytest.fixture(scope="session")
def bulk_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Two snapshots of the same users, the first one published; events of some of them."""
    draw = np.random.default_rng(11)
    states = some_states(draw)
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as url:
        address = Address(url=url)
        migrate(address)
        with connected(address) as store:
            put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
            for snapshot_id in (FIRST, SECOND):
                lists = {user_id: some_lists(draw) for user_id in states if draw.random() < 0.7}
                folder = tmp_path_factory.mktemp("snapshot")
                load_snapshot(store, folder, snapshot_id=snapshot_id, states=states, lists=lists)
            put_events(store, [event for event in some_events(draw) if event])
            publish(store, FIRST, actor="test")
        yield address
