"""From a staging table into the place of a partition, at once: what was there before is served until then."""

from collections.abc import Mapping

from sql.client import Store

# As large as a gigabyte of rows allows: a million users are one part, which halves the work as nothing is merged.
LARGE_PARTS: Mapping[str, int] = {
    "max_insert_threads": 1,
    "min_insert_block_size_rows": 10_000_000,
    "min_insert_block_size_bytes": 1_000_000_000,
}


def begin_staging(store: Store, *, table: str, snapshot_id: str) -> None:
    """An empty place to fill, whatever a killed attempt left there."""
    store.run(f"{table}_v1/stage")
    store.run(f"{table}_v1/unstage", snapshot_id=snapshot_id)


def put_staged(store: Store, *, table: str, snapshot_id: str) -> None:
    """Put what was staged of a snapshot in the place of its partition; where that is nothing, drop the partition."""
    parts = store.rows("load/parts", table=f"{table}_staging", snapshot_id=snapshot_id)[0][0]
    if not parts:  # ClickHouse refuses to replace a partition by an empty one
        store.run(f"{table}_v1/drop", snapshot_id=snapshot_id)
        return
    if parts > 1:
        store.run(f"{table}_v1/merge", snapshot_id=snapshot_id)
    store.run(f"{table}_v1/replace", snapshot_id=snapshot_id)
    store.run(f"{table}_v1/unstage", snapshot_id=snapshot_id)
