"""Members of an audience as NDJSON, CSV, Arrow and Parquet, page by page, with an end that tells that none is missing.

The end states the counts and a SHA-256: of the lines before it (CSV: without the head), or in Arrow and Parquet of each
page's places (4 bytes each), user ids and scores (8 each), one column after the other, little-endian. It is a record of
its own in NDJSON and CSV; in Arrow the metadata of a last batch without rows, in Parquet that of the file.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from api.answers import PROBABILITIES
from api.bulk_formats import Format
from api.bulk_text import moments_text
from api.streams import END, ArrowStream, ParquetStream
from data_contracts.csv_text import csv_field
from sql.audiences import Member

SCHEMA = pa.schema(
    [
        ("place", pa.uint32()),
        ("user_id", pa.int64()),
        ("score", pa.float64()),
        ("send_after", pa.timestamp("us", "UTC")),
    ]
)
_SUMMED = ("place", "user_id", "score")
_CSV_HEAD = b"record,place,user_id,score,send_after\r\n"


class Writer(Protocol):
    def start(self) -> bytes: ...

    def write(self, page: pa.RecordBatch) -> tuple[bytes, bytes]:
        """Of SCHEMA: what goes out, and what of it the checksum is about."""

    def end(self, told: Mapping[str, Any]) -> bytes: ...


def page_of(members: list[Member], send_after: NDArray[np.datetime64]) -> pa.RecordBatch:
    """Of SCHEMA; scores as look-ups tell them; `send_after` UTC, NaT where it may be sent at once."""
    columns = [
        [one.place for one in members],
        [one.user_id for one in members],
        [PROBABILITIES[one.score] for one in members],
        send_after,
    ]
    return pa.record_batch([pa.array(*one) for one in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)


def writer_of(format_: Format, *, is_whole: bool) -> Writer:
    """`is_whole`: from the first member on, else what goes on after a place, in CSV without a head of its own."""
    if format_ is Format.CSV:
        return _Csv(is_whole)
    writers: Mapping[Format, Callable[[], Writer]] = {
        Format.NDJSON: _Ndjson,
        Format.ARROW: _Arrow,
        Format.PARQUET: _Parquet,
    }
    return writers[format_]()


class _Ndjson:
    def start(self) -> bytes:
        return b""

    def write(self, page: pa.RecordBatch) -> tuple[bytes, bytes]:
        rows = ({**row, "user_id": str(row["user_id"])} for row in page.to_pylist())
        lines = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z) for row in rows)
        return lines, lines

    def end(self, told: Mapping[str, Any]) -> bytes:
        return orjson.dumps({END: True, **told}, option=orjson.OPT_APPEND_NEWLINE)


class _Csv:
    """RFC 4180; as in lists, the first field is the record's kind."""

    def __init__(self, is_whole: bool) -> None:
        self._head = _CSV_HEAD if is_whole else b""

    def start(self) -> bytes:
        return self._head

    def write(self, page: pa.RecordBatch) -> tuple[bytes, bytes]:
        after = moments_text(page["send_after"].to_numpy(zero_copy_only=False)).to_pylist()
        rows = "".join(
            f"member,{row['place']},{row['user_id']},{row['score']},{moment}\r\n"
            for row, moment in zip(page.to_pylist(), after, strict=True)
        )
        return rows.encode(), rows.encode()

    def end(self, told: Mapping[str, Any]) -> bytes:
        return f"{END},,,{csv_field(orjson.dumps(told).decode())},\r\n".encode()


class _Arrow(ArrowStream):
    def __init__(self) -> None:
        super().__init__(SCHEMA)

    def write(self, page: pa.RecordBatch) -> tuple[bytes, bytes]:
        return self.put(page), _content(page)


class _Parquet(ParquetStream):
    def __init__(self) -> None:
        super().__init__(SCHEMA)

    def write(self, page: pa.RecordBatch) -> tuple[bytes, bytes]:
        return self.put(page), _content(page)


def _content(page: pa.RecordBatch) -> bytes:
    return b"".join(np.ascontiguousarray(page[name].to_numpy()).tobytes() for name in _SUMMED)
