"""Drops the partitions of old snapshots: the last N stay, and always the current one."""

from data_contracts.errors import InputError
from sql.client import Store
from sql.load import TABLES
from sql.pointer import current
from sql.states import State, put_state, snapshot_states


def drop_old(store: Store, *, keep: int) -> tuple[str, ...]:
    """Drop all but the newest `keep` snapshots (by as-of and attempt) and the current one. Returns what was dropped."""
    if keep < 1:
        raise InputError(f"at least one snapshot stays: keep={keep}")
    present = [entry for entry in snapshot_states(store) if entry.state is not State.DROPPED]
    served = current(store)
    old = [entry for entry in present[:-keep] if entry.snapshot_id != served]
    for entry in old:
        # First the state: what is being dropped can no longer be published.
        put_state(store, entry.manifest, State.DROPPED)
        for table in TABLES:
            store.run(f"{table}_v1/drop", snapshot_id=entry.snapshot_id)
    return tuple(entry.snapshot_id for entry in old)
