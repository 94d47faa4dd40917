"""A snapshot's folder as read: its tables as Parquet, its manifest, and the snapshot before it."""

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from data_contracts.checksums import parquet_batches
from data_contracts.errors import InputError
from data_contracts.manifest import MANIFEST_FILE, Manifest
from data_contracts.night import parse_snapshot_id
from spark_jobs.lake.files import file_exists, file_system, read_bytes


def snapshot_batches(snapshot: str, table: str) -> Iterator[pa.RecordBatch]:
    """In any order. Raises InputError where the folder has no such table."""
    return parquet_batches(_files(snapshot, table), table=table)


def snapshot_table(snapshot: str, table: str) -> pa.Table:
    """Whole. Raises InputError where the folder has no such table."""
    return pa.concat_tables([file.read() for file in _files(snapshot, table)])


def snapshot_before(lake: str, as_of: date) -> str | None:
    """The URI of the newest snapshot of an earlier date that passed its gate; None where there is none."""
    system, folder = file_system(f"{lake}/snapshots")
    names = [info.base_name for info in system.get_file_info(fs.FileSelector(folder, allow_not_found=True))]
    for name in sorted((name for name in names if _is_earlier(name, as_of)), key=parse_snapshot_id, reverse=True):
        snapshot = f"{lake}/snapshots/{name}"
        if file_exists(f"{snapshot}/{MANIFEST_FILE}") and _manifest(snapshot).gate.passed:
            return snapshot
    return None


def _is_earlier(name: str, as_of: date) -> bool:
    try:
        return parse_snapshot_id(name)[0] < as_of
    except InputError:
        return False


def _manifest(snapshot: str) -> Manifest:
    return Manifest.from_json(read_bytes(f"{snapshot}/{MANIFEST_FILE}"), where=f"{snapshot}/{MANIFEST_FILE}")


def _files(snapshot: str, table: str) -> Iterator[pq.ParquetFile]:
    system, folder = file_system(f"{snapshot}/{table}")
    infos = system.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    paths = sorted(info.path for info in infos if info.path.endswith(".parquet"))
    if not paths:
        raise InputError(f"{snapshot} is not a finished snapshot: {table}/ holds no Parquet; run scoring first")
    for path in paths:
        yield pq.ParquetFile(system.open_input_file(path))
