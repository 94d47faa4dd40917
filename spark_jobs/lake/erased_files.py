"""Taking a person out of plain files: a snapshot's Parquet, which gets a new manifest, and landed events (Avro).

A file is replaced whole and at once, so a reader sees it with the person or without; what was killed half-way is simply
done again.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, cast

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from data_contracts.checksums import SNAPSHOT_COLUMNS, counts_of, parquet_batches
from data_contracts.columns import USER_ID
from data_contracts.manifest import MANIFEST_FILE, Erasure, Manifest
from spark_jobs.lake.files import file_system, open_stream, read_bytes, write_bytes
from spark_jobs.lake.snapshot_files import manifest_of

# The snapshot's tables that hold people.
PEOPLE_TABLES = tuple(table for table, columns in SNAPSHOT_COLUMNS.items() if USER_ID in columns)
DOCUMENTS = ("reports", "validations")


def rows_in_snapshot(snapshot: str, user_id: int) -> int:
    """A person's rows in all Parquet of a snapshot's folder."""
    return sum(_rows_of(snapshot, path, user_id).num_rows for path in _files(snapshot, ".parquet"))


def erase_from_snapshot(snapshot: str, user_id: int, *, receipt: str, at: datetime) -> Manifest | None:
    """Rewrite the files that hold the person, then the manifest with new counts, checksums and a note of it.

    Returns the manifest, new or as it was; None for a snapshot that was never finished.
    """
    for path in _files(snapshot, ".parquet"):
        if _rows_of(snapshot, path, user_id).num_rows:
            _rewrite_parquet(snapshot, path, user_id)
    manifest = manifest_of(snapshot)
    if manifest is None:
        return None
    told = [table for table in PEOPLE_TABLES if table in manifest.tables]
    if all(_rows(snapshot, table) == manifest.tables[table].rows for table in told):
        return manifest
    tables = {table: counts_of(_batches(snapshot, table), table=table) for table in told}
    erasures = (*manifest.erasures, Erasure(receipt=receipt, at=at))
    renewed = manifest.model_copy(update={"tables": {**manifest.tables, **tables}, "erasures": erasures})
    write_bytes(f"{snapshot}/{MANIFEST_FILE}", renewed.to_json().encode())
    return renewed


def erase_from_folder(uri: str, user_id: int) -> int:
    """Rewrite the Parquet files below a folder that hold the person. Returns how many rows that were."""
    found = 0
    for path in _files(uri, ".parquet"):
        if rows := _rows_of(uri, path, user_id).num_rows:
            _rewrite_parquet(uri, path, user_id)
            found += rows
    return found


def erase_landed(events: str, user_id: int) -> int:
    """Rewrite landed Avro files that hold events of the person. Returns how many events that were."""
    return sum(_rewrite_avro(events, path, user_id) for path in _files(events, ".avro"))


def landed_rows(events: str, user_id: int) -> int:
    """A person's events in landed Avro files."""
    return sum(_is_of(record, user_id) for path in _files(events, ".avro") for record in _records(events, path))


def _files(uri: str, ending: str) -> list[str]:
    """Paths of the files below a folder, in the file system of its URI."""
    system, root = file_system(uri)
    infos = system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    return sorted(info.path for info in infos if info.type == fs.FileType.File and info.path.endswith(ending))


def _rows_of(uri: str, path: str, user_id: int) -> pa.Table:
    system, _ = file_system(uri)
    with pq.ParquetFile(system.open_input_file(path)) as file:
        if USER_ID not in file.schema_arrow.names:
            return pa.table({})
        ids = file.read(columns=[USER_ID])
    return ids.filter(pc.equal(ids.column(USER_ID), user_id))


def _rewrite_parquet(uri: str, path: str, user_id: int) -> None:
    system, root = file_system(uri)
    with pq.ParquetFile(system.open_input_file(path)) as file:
        rows = file.read()
    sink = pa.BufferOutputStream()
    pq.write_table(rows.filter(pc.not_equal(rows.column(USER_ID), user_id)), sink, compression="zstd")
    write_bytes(f"{uri}{path.removeprefix(root)}", sink.getvalue().to_pybytes())
    # Spark leaves a checksum beside each file of a local folder, which would now be wrong.
    checksum = str(PurePosixPath(path).with_name(f".{PurePosixPath(path).name}.crc"))
    if system.get_file_info(checksum).type == fs.FileType.File:
        system.delete_file(checksum)


def _open(snapshot: str, table: str) -> Iterator[pq.ParquetFile]:
    system, _ = file_system(snapshot)
    for path in _files(f"{snapshot}/{table}", ".parquet"):
        yield pq.ParquetFile(system.open_input_file(path))


def _rows(snapshot: str, table: str) -> int:
    return sum(file.metadata.num_rows for file in _open(snapshot, table))


def _batches(snapshot: str, table: str) -> Iterator[pa.RecordBatch]:
    return parquet_batches(_open(snapshot, table), table=table)


Record = Mapping[str, Any]


def _records(uri: str, path: str) -> list[Record]:
    system, _ = file_system(uri)
    with open_stream(system, path) as stream:
        return cast("list[Record]", list(fastavro.reader(stream)))


def _is_of(record: Record, user_id: int) -> bool:
    return record.get(USER_ID) == user_id


def _rewrite_avro(uri: str, path: str, user_id: int) -> int:
    """The file keeps its schema, codec and own metadata."""
    system, root = file_system(uri)
    records = _records(uri, path)
    kept = [record for record in records if not _is_of(record, user_id)]
    if len(kept) < len(records):
        with open_stream(system, path) as stream:
            header = fastavro.block_reader(stream)
            own = {name: value for name, value in header.metadata.items() if not name.startswith("avro.")}
            schema: Any = header.writer_schema
            codec: Any = header.codec
        sink = io.BytesIO()
        fastavro.writer(sink, schema, kept, codec=codec, metadata=own)
        write_bytes(f"{uri}{path.removeprefix(root)}", sink.getvalue())
    return len(records) - len(kept)


def erase_from_documents(lake: str, user_id: int) -> int:
    """Take the id out of the lake's JSON documents: samples of bad values, texts. Returns how many told it."""
    told = 0
    for folder in DOCUMENTS:
        _, root = file_system(f"{lake}/{folder}")
        for path in _files(f"{lake}/{folder}", ".json"):
            uri = f"{lake}/{folder}{path.removeprefix(root)}"
            document = json.loads(read_bytes(uri))
            clean = _without(document, user_id)
            if clean != document:
                told += 1
                write_bytes(uri, json.dumps(clean, indent=1).encode())
    return told


def _without(value: Any, user_id: int) -> Any:
    """A JSON value without the id: in lists, under its name, and within texts. A count that equals it stays."""
    if isinstance(value, list):
        return [_without(one, user_id) for one in value if one != user_id]
    if isinstance(value, dict):
        kept = {name: _without(one, user_id) for name, one in value.items()}
        return {name: None if name == USER_ID and one == user_id else one for name, one in kept.items()}
    return re.sub(rf"(?<!\d){user_id}(?!\d)", "erased", value) if isinstance(value, str) else value
