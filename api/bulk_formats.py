"""Lists as bytes: NDJSON, CSV, Arrow and Parquet, a chunk at a time, each with what tells that nothing is missing.

A chunk ends with a cursor, and the whole with a record of the counts and a checksum: in NDJSON and CSV they are records
of their own; in Arrow the metadata of a chunk's batch, and of a last batch without rows; in Parquet, which without
its end cannot be read at all, the file's metadata. The checksum is a running CRC-32: of the lines with lists, or, in
Arrow and Parquet, of each batch's user ids, UTF-8 item ids and scores (8 bytes each, little-endian, null as 0).
"""

import zlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

import orjson

from api.bulk_chunks import SCHEMA, Chunk, Totals, columns_checksum
from api.bulk_text import CSV_COLUMNS, csv_rows, json_lines
from api.streams import END, ArrowStream, ParquetStream
from data_contracts.csv_text import csv_field


class Format(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
CURSOR = "cursor"
Sign = Callable[[Totals], str]


class Writer(Protocol):
    def start(self) -> bytes: ...

    def write(self, chunk: Chunk, before: Totals, sign: Sign) -> tuple[bytes, Totals]:
        """A chunk with its cursor, and the totals after it."""

    def end(self, told: Mapping[str, Any]) -> bytes: ...


def writer_of(format_: Format, *, is_whole: bool = True) -> Writer:
    """`is_whole`: from the first user on, else what goes on after a cursor, without a head of its own."""
    if format_ is Format.CSV:
        return _Csv(is_whole)
    writers: Mapping[Format, Callable[[], Writer]] = {
        Format.NDJSON: _Ndjson,
        Format.ARROW: _Arrow,
        Format.PARQUET: _Parquet,
    }
    return writers[format_]()


def export_writer_of(format_: Format, *, has_bom: bool) -> Writer:
    """Of a file that a manifest belongs to; Parquet or CSV."""
    return _ExportCsv(has_bom) if format_ is Format.CSV else writer_of(format_)


class _Ndjson:
    def start(self) -> bytes:
        return b""

    def write(self, chunk: Chunk, before: Totals, sign: Sign) -> tuple[bytes, Totals]:
        data = json_lines(chunk)
        totals = before.after(chunk, zlib.crc32(data, before.checksum))
        return b"".join([data, orjson.dumps({CURSOR: sign(totals)}), b"\n"]), totals

    def end(self, told: Mapping[str, Any]) -> bytes:
        return orjson.dumps({END: told}) + b"\n"


class _Csv:
    """RFC 4180. A last field for the record's kind would be missed: it is the first."""

    def __init__(self, is_whole: bool) -> None:
        self._head = ",".join(CSV_COLUMNS).encode() + b"\r\n" if is_whole else b""

    def start(self) -> bytes:
        return self._head

    def write(self, chunk: Chunk, before: Totals, sign: Sign) -> tuple[bytes, Totals]:
        data = csv_rows(chunk)
        totals = before.after(chunk, zlib.crc32(data, before.checksum))
        return b"".join([data, f"{CURSOR},,,{sign(totals)},,,,\r\n".encode()]), totals

    def end(self, told: Mapping[str, Any]) -> bytes:
        return f"{END},,,{csv_field(orjson.dumps(told).decode())},,,,\r\n".encode()


class _ExportCsv:
    """Only lists: of an export, its manifest tells the rest."""

    def __init__(self, has_bom: bool) -> None:
        self._head = (b"\xef\xbb\xbf" if has_bom else b"") + ",".join(CSV_COLUMNS[1:]).encode() + b"\r\n"

    def start(self) -> bytes:
        return self._head

    def write(self, chunk: Chunk, before: Totals, sign: Sign) -> tuple[bytes, Totals]:  # noqa: ARG002 - has no cursors
        data = bytes(csv_rows(chunk, record=""))
        return data, before.after(chunk, zlib.crc32(data, before.checksum))

    def end(self, told: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - the manifest has it
        return b""


class _Arrow(ArrowStream):
    def __init__(self) -> None:
        super().__init__(SCHEMA)

    def write(self, chunk: Chunk, before: Totals, sign: Sign) -> tuple[bytes, Totals]:
        batch = chunk.batch()
        totals = before.after(chunk, columns_checksum(batch, before.checksum))
        return self.put(batch, {CURSOR: sign(totals)}), totals


class _Parquet(ParquetStream):
    def __init__(self) -> None:
        super().__init__(SCHEMA)

    def write(self, chunk: Chunk, before: Totals, sign: Sign) -> tuple[bytes, Totals]:  # noqa: ARG002 - has no cursors
        batch = chunk.batch()
        return self.put(batch), before.after(chunk, columns_checksum(batch, before.checksum))
