"""Takes a person out of ClickHouse: every kept snapshot's partition is replaced by one without them, and verified anew;
streamed events are deleted.

Serving notices nothing: a partition is replaced at once. Old parts stay on the server's disk, out of reach of queries,
until it cleans up (`old_parts_lifetime`, 8 minutes by default).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from data_contracts.checksums import SNAPSHOT_COLUMNS
from data_contracts.columns import USER_ID
from data_contracts.manifest import Erasure, Manifest
from sql.client import Store
from sql.day_logs import forget_user
from sql.staging import begin_staging, put_staged
from sql.states import SnapshotState, State, put_state, snapshot_states
from sql.user_events import USER_EVENTS, erase_events
from sql.user_rows import fill_user_rows
from sql.verify import loaded_counts, verify

PEOPLE_TABLES = tuple(table for table, columns in SNAPSHOT_COLUMNS.items() if USER_ID in columns)


@dataclass(frozen=True)
class Erased:
    """What was there of a person, and is now, by table. A table that this module does not know is counted too."""

    before: Mapping[str, int]
    after: Mapping[str, int]


def erase_user(store: Store, user_id: int, *, manifests: Mapping[str, Manifest], note: Erasure) -> Erased:
    """Safe to run again. `manifests`: of the lake's snapshots without the person, by snapshot.

    Raises GateError for a snapshot that then differs from its manifest.
    """
    before = rows_of(store, user_id)
    forget_user(store, user_id)
    for entry in snapshot_states(store):
        if entry.state is not State.DROPPED:
            removed = sum(_rewrite(store, table, entry.snapshot_id, user_id) for table in PEOPLE_TABLES)
            if removed:
                fill_user_rows(store, entry.snapshot_id)
            _seal(store, entry, manifests.get(entry.snapshot_id), note=note, has_changed=removed > 0)
    if before[USER_EVENTS]:
        erase_events(store, user_id)
    return Erased(before=before, after=rows_of(store, user_id))


def rows_of(store: Store, user_id: int) -> Mapping[str, int]:
    """A person's rows in every table of the database that has user ids."""
    tables = [name for (name,) in store.rows("erase/tables")]
    return {table: store.rows("erase/count", table=table, user_id=user_id)[0][0] for table in tables}


def _rewrite(store: Store, table: str, snapshot_id: str, user_id: int) -> int:
    """Returns how many rows were taken out."""
    begin_staging(store, table=table, snapshot_id=snapshot_id)
    ((rows,),) = store.rows("erase/count_in_snapshot", table=table, snapshot_id=snapshot_id, user_id=user_id)
    if rows:
        store.run(f"{table}_v1/without_user", snapshot_id=snapshot_id, user_id=user_id)
        put_staged(store, table=table, snapshot_id=snapshot_id)
    return int(rows)


def _seal(store: Store, entry: SnapshotState, renewed: Manifest | None, *, note: Erasure, has_changed: bool) -> None:
    """Keep the manifest without the person; a snapshot whose folder is gone is counted here."""
    manifest = renewed or _recounted(store, entry, note=note, has_changed=has_changed)
    if manifest.tables == entry.manifest.tables:
        return
    if entry.state is State.VERIFIED:
        verify(store, manifest)
    else:
        put_state(store, manifest, entry.state)


def _recounted(store: Store, entry: SnapshotState, *, note: Erasure, has_changed: bool) -> Manifest:
    told = [table for table in PEOPLE_TABLES if table in entry.manifest.tables]
    counted = {table: loaded_counts(store, table=table, snapshot_id=entry.snapshot_id) for table in told}
    if not has_changed and all(entry.manifest.tables[table] == counts for table, counts in counted.items()):
        return entry.manifest
    tables = {**entry.manifest.tables, **counted}
    return entry.manifest.model_copy(update={"tables": tables, "erasures": (*entry.manifest.erasures, note)})
