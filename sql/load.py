"""Brings a snapshot's folder into ClickHouse, beside all others: nothing of it is served until the pointer moves.

Each table goes into its staging table, is merged there and then replaces its own partition, so a load that was killed
or is run again leaves one copy. A later load of a snapshot ends what an earlier one may still be inserting.
"""

from data_contracts.checksums import LATER_TABLES, SNAPSHOT_COLUMNS
from data_contracts.errors import InputError
from data_contracts.manifest import Manifest
from data_contracts.night import parse_snapshot_id
from sql.client import Store
from sql.sources import Source, Target, open_source
from sql.staging import LARGE_PARTS, begin_staging, put_staged
from sql.states import State, put_state
from sql.user_rows import fill_user_rows

TABLES = tuple(SNAPSHOT_COLUMNS)

_INSERT_SETTINGS: dict[str, str | int] = {
    **LARGE_PARTS,
    "input_format_parquet_allow_missing_columns": 0,
    "input_format_arrow_allow_missing_columns": 0,
}


def load(store: Store, *, snapshot_uri: str) -> Manifest:
    """Load and merge every table of a snapshot. Returns its manifest; `verify` compares the two.

    Raises InputError naming the file when something is missing or broken; what was loaded before stays as it was.
    """
    return load_from(store, open_source(store, snapshot_uri=snapshot_uri))


def load_from(store: Store, source: Source) -> Manifest:
    manifest = source.manifest
    parse_snapshot_id(manifest.snapshot_id)
    absent = sorted(set(TABLES) - LATER_TABLES - manifest.tables.keys())
    if absent:
        raise InputError(f"the manifest of {manifest.snapshot_id} does not speak of tables {', '.join(absent)}")
    put_state(store, manifest, State.LOADING)
    store.run("load/stop", load=_mark(manifest.snapshot_id))
    for table in tables_of(manifest):
        _load_table(store, source, table=table)
    fill_user_rows(store, manifest.snapshot_id)
    put_state(store, manifest, State.LOADED)
    return manifest


def tables_of(manifest: Manifest) -> tuple[str, ...]:
    """Those that the snapshot has: an older one lacks what came later, and leaves it as it is."""
    return tuple(table for table in TABLES if table in manifest.tables)


def _load_table(store: Store, source: Source, *, table: str) -> None:
    snapshot_id = source.manifest.snapshot_id
    if source.manifest.tables[table].rows == 0:
        # ClickHouse refuses to replace a partition by an empty one.
        store.run(f"{table}_v1/drop", snapshot_id=snapshot_id)
        return
    begin_staging(store, table=table, snapshot_id=snapshot_id)
    ((structure,),) = store.rows("load/structure", table=table)
    settings = {**_INSERT_SETTINGS, "log_comment": _mark(snapshot_id)}
    target = Target(table=table, structure=structure, settings=settings)
    source.insert(store, target)
    put_staged(store, table=table, snapshot_id=snapshot_id)


def _mark(snapshot_id: str) -> str:
    """How a later load recognises the queries of an earlier one."""
    return f"load {snapshot_id}"
