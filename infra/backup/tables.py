"""The tables of ClickHouse in a backup: out as Parquet, a partition an object, and back in."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_contracts.errors import UnavailableError
from infra.backup.manifest import Content, Partition, Table
from infra.backup.vault import Vault, blocks
from sql.client import Store
from sql.user_events import USER_EVENTS, clear_mirrored

# When a row came, by table. In this order they are read and in the other they are written, so that a row is never
# there without those that it speaks of: a suppression's events, a pointer's snapshot.
POINTER, SNAPSHOTS = "published_snapshots", "snapshots"
KEPT: Mapping[str, str] = {
    POINTER: "moved_at",
    SNAPSHOTS: "moved_at",
    "gate_overrides": "at",
    "approvals": "at",
    "proposals": "at",
    "blocks": "moved_at",
    "rule_sets": "approved_at",
    "suppression_lifts": "lifted_at",
    "suppressions": "accepted_at",
    "exports": "at",
    "audience_members": "created_at",
    "audiences": "created_at",
    "feedback": "received_at",
    "exposures": "event_time",
    USER_EVENTS: "stored_at",
}
# Made again: by loading a snapshot, by a process that lives, by migrating.
MADE_AGAIN = frozenset(
    {
        "lists",
        "fallback_lists",
        "user_state",
        "items",
        "portraits",
        "audience_pool",
        "user_rows",
        "overlay_writers",
        "migrations",
    }
)


# One thread, so that a partition that has not changed gives the same bytes again, and they are kept once.
_SETTINGS: Mapping[str, str | int] = {"max_threads": 1, "output_format_parquet_compression_method": "zstd"}


def keep_table(vault: Vault, store: Store, table: str) -> Table:
    parts: list[Partition] = []
    newest: datetime | None = None
    for (name,) in store.rows("backup/partitions", table=table):
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            for block in store.parquet("backup/read", settings=_SETTINGS, table=table, part=name):
                file.write(block)
            file.flush()
            path = Path(file.name)
            rows = _rows(path, f"{table}, partition {name}")
            newest = max(filter(None, [newest, _newest(path, KEPT[table])]), default=None)
            with path.open("rb") as stream:
                parts.append(Partition(name=name, rows=rows, content=vault.put(blocks(stream))))
    return Table(name=table, rows=sum(part.rows for part in parts), newest=newest, partitions=tuple(parts))


def _rows(path: Path, what: str) -> int:
    try:
        return int(pq.ParquetFile(path).metadata.num_rows)
    except pa.ArrowInvalid as error:
        raise UnavailableError(f"ClickHouse broke off while {what} was read: run it again") from error


def _newest(path: Path, column: str) -> datetime | None:
    when: datetime | None = pc.max(pq.read_table(path, columns=[column])[column]).as_py()
    return when if when is None or when.tzinfo else when.replace(tzinfo=UTC)


def newer_rows(store: Store, tables: Iterable[Table]) -> Iterator[str]:
    """Tables of the target with a row that came after the newest of the backup.

    Not of snapshots' states: a restore writes them too, and a snapshot of a later night has moved the pointer.
    """
    for table in tables:
        if table.name == SNAPSHOTS:
            continue
        ((rows, newest),) = store.rows("backup/newest", table=table.name, at=KEPT[table.name])
        if rows and (table.newest is None or newest > table.newest):
            yield f"{table.name} (newest row of {newest:%Y-%m-%d %H:%M:%S} UTC)"


def clear_table(store: Store, table: str) -> None:
    store.run("backup/clear", table=table)
    if table == USER_EVENTS:
        clear_mirrored(store)


def put_back_table(vault: Vault, store: Store, table: Table) -> None:
    """The target's table holds these rows afterwards and no others."""
    clear_table(store, table.name)
    for part in table.partitions:
        for batch in _batches(vault, part.content):
            store.insert(table.name, batch)


def _batches(vault: Vault, content: Content) -> Iterator[pa.Table]:
    """Row group by row group, once the whole object is found right."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        for block in vault.read(content):
            file.write(block)
        file.flush()
        parquet = pq.ParquetFile(file.name)
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group)
