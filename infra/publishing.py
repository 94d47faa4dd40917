"""The operator's commands on what is published: list, publish, roll back, block."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster_project.assets.publish import load_verified
from data_contracts.night import parse_snapshot_id
from data_contracts.settings import Settings
from infra.stack import clickhouse
from sql import pointer, rules
from sql.client import Address, Store, connected
from sql.migrate import migrate
from sql.states import State, snapshot_states, state_of


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    """The store of the running ClickHouse, or of an embedded one started for this command."""
    with clickhouse(settings) as wired:
        migrate(Address.of(wired))
        with connected(Address.of(wired)) as store:
            yield store


def snapshot_rows(settings: Settings) -> list[dict[str, Any]]:
    """One row a snapshot, oldest first."""
    with _store(settings) as store:
        served = pointer.current(store)
        return [
            {
                "snapshot": entry.snapshot_id,
                "served": "current" if entry.snapshot_id == served else "",
                "state": entry.state.value,
                "gate": "passed" if entry.manifest.gate.passed else "failed",
                "users": entry.manifest.tables["user_state"].rows,
                "lists": entry.manifest.tables["lists"].rows,
                "made": entry.manifest.created_at.strftime("%Y-%m-%d %H:%M:%S"),
                "checksum of lists": entry.manifest.tables["lists"].checksum,
            }
            for entry in snapshot_states(store)
        ]


def publish_one(settings: Settings, snapshot_id: str, *, why: str) -> None:
    """Raises InputError for an unknown snapshot, GateError for one that failed its gate or its verification."""
    parse_snapshot_id(snapshot_id)
    with _store(settings) as store:
        if state_of(store, snapshot_id) is not State.VERIFIED:
            load_verified(store, snapshot_uri=f"{settings.lake_uri}/snapshots/{snapshot_id}")
        pointer.publish(store, snapshot_id, actor=_actor(), why=why)


def roll_back(settings: Settings, *, to: str | None, why: str) -> str:
    with _store(settings) as store:
        return pointer.rollback(store, actor=_actor(), why=why, to=to)


def set_block(settings: Settings, item: str, *, blocked: bool, why: str) -> None:
    with _store(settings) as store:
        change = rules.block if blocked else rules.unblock
        change(store, item, actor=_actor(), why=why)


def _actor() -> str:
    return getpass.getuser()
