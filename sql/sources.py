"""Where a snapshot's folder lies, and how its Parquet gets into a staging table.

ClickHouse reads the files itself where it can: `s3()` for a bucket, `file()` for a folder it sees. Else each file
travels in the body of an INSERT.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from data_contracts.checksums import SNAPSHOT_COLUMNS
from data_contracts.columns import SNAPSHOT_ID
from data_contracts.errors import InputError
from data_contracts.manifest import MANIFEST_FILE, Manifest
from sql.client import Store


@dataclass(frozen=True)
class Target:
    """A staging table: `structure` is what the Parquet must hold, `settings` go with every INSERT."""

    table: str
    structure: str
    settings: Mapping[str, str | int]

    @property
    def staging(self) -> str:
        return f"{self.table}_staging"


class Source(Protocol):
    @property
    def manifest(self) -> Manifest: ...

    def insert(self, store: Store, target: Target) -> None:
        """Insert a table's Parquet into its staging table. Raises InputError for what is missing or broken."""


def open_source(store: Store, *, snapshot_uri: str) -> Source:
    """The source of a snapshot's URI: a path, `file:` or `s3a:`. Raises InputError where there is no manifest."""
    parts = urlsplit(snapshot_uri)
    if parts.scheme in ("s3", "s3a"):
        return _open_bucket(store, url=f"{store.address.s3_endpoint}/{parts.netloc}{parts.path}")
    return _open_folder(store, folder=Path(parts.path if parts.scheme == "file" else snapshot_uri).absolute())


def write_document(uri: str, content: bytes) -> None:
    """A small file beside a snapshot's others. `s3a:` is Spark's word for `s3:`."""
    if urlsplit(uri).scheme:
        system, path = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    else:
        system, path = fs.LocalFileSystem(), uri
    with system.open_output_stream(path, compression=None) as stream:
        stream.write(content)


@dataclass(frozen=True)
class Bucket:
    """A bucket that the server reads, with the credentials of its own configuration."""

    url: str
    manifest: Manifest

    def insert(self, store: Store, target: Target) -> None:
        store.run(
            "load/from_s3",
            settings=target.settings,
            staging=target.staging,
            snapshot_id=self.manifest.snapshot_id,
            url=f"{self.url}/{target.table}/*.parquet",
            structure=target.structure,
        )


@dataclass(frozen=True)
class SharedFolder:
    """A folder that the server sees too."""

    folder: Path
    manifest: Manifest

    def insert(self, store: Store, target: Target) -> None:
        checked_files(self.folder, manifest=self.manifest, table=target.table)
        store.run(
            "load/from_file",
            settings=target.settings,
            staging=target.staging,
            snapshot_id=self.manifest.snapshot_id,
            path=str(self.folder / target.table / "*.parquet"),
            structure=target.structure,
        )


@dataclass(frozen=True)
class OwnFolder:
    """A folder that only we see."""

    folder: Path
    manifest: Manifest

    def insert(self, store: Store, target: Target) -> None:
        for path in checked_files(self.folder, manifest=self.manifest, table=target.table):
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                data = with_snapshot_id(file.read_row_group(group), self.manifest.snapshot_id)
                store.send("load/from_body", data, settings=target.settings, staging=target.staging)


def checked_files(folder: Path, *, manifest: Manifest, table: str) -> list[Path]:
    """A table's Parquet files: each whole and with all columns, together as many rows as the manifest says."""
    files = sorted((folder / table).glob("*.parquet"))
    rows = 0
    for path in files:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path} is not a whole Parquet file (snapshot table {table}): {error}") from error
        missing = sorted(set(SNAPSHOT_COLUMNS[table]) - set(file.schema_arrow.names))
        if missing:
            raise InputError(f"{path} lacks columns {', '.join(missing)} of snapshot table {table}")
        rows += file.metadata.num_rows
    expected = manifest.tables[table].rows
    if rows != expected:
        raise InputError(f"{folder / table} holds {rows} rows in {len(files)} files, its manifest says {expected}")
    return files


def _open_bucket(store: Store, *, url: str) -> Bucket:
    where = f"{url}/{MANIFEST_FILE}"
    (content,) = store.rows("load/read_s3", url=where)[0]
    return Bucket(url=url, manifest=Manifest.from_json(content, where=where))


def _open_folder(store: Store, *, folder: Path) -> SharedFolder | OwnFolder:
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise InputError(f"{folder} is not a snapshot: it has no {MANIFEST_FILE}, which is written last")
    content = path.read_text(encoding="utf-8")
    manifest = Manifest.from_json(content, where=str(path))
    kind = SharedFolder if _server_reads(store, path) == content else OwnFolder
    return kind(folder=folder, manifest=manifest)


def with_snapshot_id(table: pa.Table, snapshot_id: str) -> bytes:
    """As a stream of Arrow, with the one column that a snapshot's Parquet leaves to its folder's name."""
    ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(table.num_rows, dtype=np.int32)), [snapshot_id])
    full = table.append_column(SNAPSHOT_ID, ids)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, full.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(full)
    return bytes(sink.getvalue())


def _server_reads(store: Store, path: Path) -> str | None:
    """What the server finds at a path: nothing, another file of that name on its own disk, or the same."""
    try:
        (content,) = store.rows("load/read_file", path=str(path))[0]
    except InputError:
        return None
    return str(content)
