"""Where each snapshot in ClickHouse stands, from its first load to the day its partitions are dropped."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from data_contracts.manifest import Manifest
from data_contracts.night import parse_snapshot_id
from sql.client import Store


class State(StrEnum):
    LOADING = "loading"
    LOADED = "loaded"
    VERIFIED = "verified"
    DROPPED = "dropped"


@dataclass(frozen=True)
class SnapshotState:
    snapshot_id: str
    state: State
    manifest: Manifest
    since: datetime


def put_state(store: Store, manifest: Manifest, state: State) -> None:
    store.run("snapshots_v1/put", snapshot_id=manifest.snapshot_id, state=state.value, manifest=manifest.to_json())


def snapshot_states(store: Store) -> tuple[SnapshotState, ...]:
    """Every snapshot ever loaded, oldest first."""
    states = (
        SnapshotState(snapshot_id=snapshot_id, state=State(state), manifest=Manifest.from_json(manifest), since=since)
        for snapshot_id, state, manifest, since in store.rows("snapshots_v1/newest")
    )
    return tuple(sorted(states, key=lambda entry: parse_snapshot_id(entry.snapshot_id)))


def state_of(store: Store, snapshot_id: str) -> State | None:
    """None where the snapshot was never loaded."""
    rows = store.rows("snapshots_v1/state", snapshot_id=snapshot_id)
    return State(rows[0][0]) if rows else None
