"""The operator's commands on what is published: list, publish, roll back, block."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from data_contracts.errors import InputError
from data_contracts.manifest import MANIFEST_FILE, Manifest
from data_contracts.night import parse_snapshot_id
from data_contracts.settings import Settings
from infra.options import actor
from infra.stack import clickhouse
from spark_jobs.lake.snapshot_files import manifest_of
from sql import overrides, pointer, rules
from sql.client import Address, Store, connected
from sql.gated import load_verified, publish_overridden
from sql.migrate import migrate
from sql.states import State, snapshot_states, state_of


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store of the running ClickHouse, or of an embedded one started for this command."""
    with clickhouse(settings) as wired:
        migrate(Address.of(wired))
        with connected(Address.of(wired)) as store:
            yield store


def snapshot_rows(settings: Settings) -> list[dict[str, Any]]:
    """One row a snapshot, oldest first."""
    with opened(settings) as store:
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
    uri = _uri(settings, snapshot_id)
    with opened(settings) as store:
        if state_of(store, snapshot_id) is not State.VERIFIED:
            load_verified(store, snapshot_uri=uri)
        pointer.publish(store, snapshot_id, actor=actor(), why=why)


def ask_override(settings: Settings, snapshot_id: str, *, reason: str) -> tuple[str, ...]:
    """Keep the request; the checks that would be overridden. Raises InputError, GateError (see `overrides.ask`)."""
    manifest = _manifest(settings, snapshot_id)
    with opened(settings) as store:
        overrides.ask(store, manifest, actor=actor(), reason=reason)
    return tuple(check.name for check in manifest.gate.failures)


def approve_override(settings: Settings, snapshot_id: str) -> None:
    """Approve what somebody else asked for, and publish. Raises InputError, GateError (see `overrides.approve`)."""
    manifest = _manifest(settings, snapshot_id)
    with opened(settings) as store:
        uri = _uri(settings, snapshot_id)
        publish_overridden(store, manifest, snapshot_uri=uri, actor=actor(), now=datetime.now(UTC))


def _uri(settings: Settings, snapshot_id: str) -> str:
    parse_snapshot_id(snapshot_id)
    return f"{settings.lake_uri}/snapshots/{snapshot_id}"


def _manifest(settings: Settings, snapshot_id: str) -> Manifest:
    uri = _uri(settings, snapshot_id)
    manifest = manifest_of(uri)
    if manifest is None:
        raise InputError(f"{uri}/{MANIFEST_FILE} is not there: run that night first")
    return manifest


def roll_back(settings: Settings, *, to: str | None, why: str) -> str:
    with opened(settings) as store:
        return pointer.rollback(store, actor=actor(), why=why, to=to)


def set_block(settings: Settings, item: str, *, blocked: bool, why: str) -> None:
    with opened(settings) as store:
        change = rules.block if blocked else rules.unblock
        change(store, item, actor=actor(), why=why)
