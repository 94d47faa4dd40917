"""Compares a loaded snapshot with its manifest: counts and checksums of every table, computed by ClickHouse itself."""

from dataclasses import replace

from data_contracts.errors import GateError
from data_contracts.manifest import Manifest, TableCounts
from sql.client import Store, connected
from sql.load import TABLES, tables_of
from sql.states import State, put_state
from sql.user_rows import USER_ROWS, counted_user_rows


def verify(store: Store, manifest: Manifest) -> None:
    """Raises GateError naming each table that differs, and the replica; a snapshot that passes may be published.

    With replicas, UnavailableError while one of them does not answer.
    """
    faults = _faults(store, manifest)
    for url in store.address.replicas:
        with connected(replace(store.address, url=url)) as replica:
            faults += [f"{fault} on replica {url}" for fault in _faults(replica, manifest)]
    if faults:
        raise GateError(f"snapshot {manifest.snapshot_id} in ClickHouse differs from its manifest: {'; '.join(faults)}")
    put_state(store, manifest, State.VERIFIED)


def _faults(store: Store, manifest: Manifest) -> list[str]:
    faults = []
    if store.address.cluster:
        for table in (*TABLES, USER_ROWS):
            store.run("load/sync", table=table)
    for table in tables_of(manifest):
        found, expected = loaded_counts(store, table=table, snapshot_id=manifest.snapshot_id), manifest.tables[table]
        if found.rows != expected.rows:
            faults.append(f"{table} has {found.rows} rows instead of {expected.rows}")
        elif found.checksum != expected.checksum:
            faults.append(f"{table} has other content (checksum {found.checksum} instead of {expected.checksum})")
    for table, rows in counted_user_rows(store, manifest.snapshot_id).items():
        if rows != manifest.tables[table].rows:
            faults.append(f"user_rows were made of {rows} rows of {table} instead of {manifest.tables[table].rows}")
    return faults


def loaded_counts(store: Store, *, table: str, snapshot_id: str) -> TableCounts:
    ((rows, checksum),) = store.rows(f"{table}_v1/checksum", snapshot_id=snapshot_id)
    return TableCounts(rows=rows, checksum=f"{checksum:016x}")
