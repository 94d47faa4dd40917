"""Drops the partitions of old snapshots: the last N good ones stay, and always the current one."""

from collections.abc import Sequence

from data_contracts.errors import InputError
from sql.client import Store
from sql.load import TABLES
from sql.pointer import current
from sql.staging import begin_staging
from sql.states import SnapshotState, State, put_state, snapshot_states
from sql.user_rows import USER_ROWS


def drop_old(store: Store, *, keep: int) -> tuple[str, ...]:
    """Drop what `old_snapshots` says, and what killed loads left of it. Returns the snapshots dropped."""
    old = old_snapshots(snapshot_states(store), keep=keep, served=current(store))
    for entry in old:
        # First the state: what is being dropped can no longer be published.
        put_state(store, entry.manifest, State.DROPPED)
        for table in (*TABLES, USER_ROWS):
            begin_staging(store, table=table, snapshot_id=entry.snapshot_id)
            store.run(f"{table}_v1/drop", snapshot_id=entry.snapshot_id)
    return tuple(entry.snapshot_id for entry in old)


def old_snapshots(states: Sequence[SnapshotState], *, keep: int, served: str | None) -> tuple[SnapshotState, ...]:
    """All before the newest verified snapshot, but the newest `keep` verified ones and the served one.

    `states` are oldest first. Attempts that never got verified don't count among those that stay; later ones than the
    newest verified may still be loading. Raises InputError when nothing would stay.
    """
    if keep < 1:
        raise InputError(f"at least one snapshot stays: keep={keep}")
    verified = [entry.snapshot_id for entry in states if entry.state is State.VERIFIED]
    staying = {*verified[-keep:], served}
    names = [entry.snapshot_id for entry in states]
    before_newest = states[: names.index(verified[-1])] if verified else ()
    return tuple(
        entry for entry in before_newest if entry.state is not State.DROPPED and entry.snapshot_id not in staying
    )
