"""What export files hold, read again a block at a time and written again without some of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from api.bulk_chunks import SCHEMA, TIER_WORDS, Moments, content
from api.bulk_formats import Format
from api.bulk_text import CSV_COLUMNS, moments_text
from data_contracts.csv_text import csv_field

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_LISTS = ("item_ids", "scores", "tiers", "reasons")
# When it may be sent is told anew whenever it is written.
_CSV_TYPES = {name: pa.string() for name in ("item_id", "score", "tier", "reasons")} | {"user_id": pa.int64()}
_FORMULAS = tuple("=+-@\t\r\n")


@dataclass(frozen=True)
class Block:
    """Whole lists as M rows, an item each, user after user, best first; `rest`: what else the file says of them."""

    user_ids: Ints  # [M]
    item_ids: pa.StringArray  # [M]
    rest: pa.Table

    def __len__(self) -> int:
        return len(self.user_ids)

    @cached_property
    def starts(self) -> Ints:
        """The first row of each user."""
        return np.flatnonzero(np.append(True, self.user_ids[1:] != self.user_ids[:-1])[: len(self)])

    @property
    def places(self) -> Ints:
        """Of each row in its user's list, from 0."""
        lengths = np.diff(np.append(self.starts, len(self)))
        return np.arange(len(self)) - np.repeat(self.starts, lengths)

    def where(self, rows: Bools) -> "Block":
        mask = pa.array(rows)
        return Block(self.user_ids[rows], self.item_ids.filter(mask), self.rest.filter(mask))


class Again(Protocol):
    """Writes blocks as the export's own format has them; `send_after` [M], as in chunks of lists."""

    def write(self, block: Block, send_after: Moments) -> None: ...

    def close(self) -> None: ...


def blocks_of(opened: pa.NativeFile, format_: Format) -> Iterator[Block]:
    """Of a part of an export, Parquet or CSV."""
    return _parquet_blocks(opened) if format_ is Format.PARQUET else _csv_blocks(opened)


def again(out: IO[bytes], format_: Format, *, has_bom: bool) -> Again:
    return _ParquetAgain(out) if format_ is Format.PARQUET else _CsvAgain(out, has_bom=has_bom)


def pairs_csv(block: Block) -> bytes:
    """Users and items as lines of CSV."""
    return bytes(_lines(_text(block.user_ids), _fields(block.item_ids)))


PAIRS_HEAD = b"user_id,item_id\r\n"


def pairs_in(opened: pa.NativeFile) -> Iterator[tuple[int, str]]:
    """What `pairs_csv` wrote."""
    types = {"user_id": pa.int64(), "item_id": pa.string()}
    for batch in _csv_batches(opened, types):
        yield from zip(batch["user_id"].to_pylist(), _plain(batch["item_id"]).to_pylist(), strict=True)


def _parquet_blocks(opened: pa.NativeFile) -> Iterator[Block]:
    file = pq.ParquetFile(opened)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        lists = {name: table[name].combine_chunks() for name in _LISTS}
        counts = np.diff(lists["item_ids"].offsets.to_numpy())
        flat = {name: one.flatten() for name, one in lists.items()}
        items = flat.pop("item_ids")
        yield Block(np.repeat(table["user_id"].to_numpy(), counts), items, pa.table(flat))


def _csv_blocks(opened: pa.NativeFile) -> Iterator[Block]:
    """A user's rows that a batch cuts in two wait for the next."""
    waiting: list[pa.RecordBatch] = []
    for batch in _csv_batches(opened, _CSV_TYPES):
        ids = batch["user_id"].to_numpy()
        first_of_last = int(np.searchsorted(ids, ids[-1])) if len(ids) else 0
        if first_of_last:
            yield _csv_block([*waiting, batch.slice(0, first_of_last)])
            waiting = []
        elif waiting and len(ids) and waiting[-1]["user_id"][-1].as_py() != ids[0]:
            yield _csv_block(waiting)
            waiting = []
        waiting.append(batch.slice(first_of_last))
    if waiting:
        yield _csv_block(waiting)


def _csv_block(batches: list[pa.RecordBatch]) -> Block:
    table = pa.Table.from_batches(batches).combine_chunks()
    rest = table.select(["score", "tier", "reasons"])
    items = table["item_id"].combine_chunks()
    return Block(table["user_id"].to_numpy(), _plain(items), rest)


def _csv_batches(opened: pa.NativeFile, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    convert = pa_csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=False)
    parsed = pa_csv.ParseOptions(newlines_in_values=True)
    yield from pa_csv.open_csv(opened, convert_options=convert, parse_options=parsed)


class _ParquetAgain:
    def __init__(self, out: IO[bytes]) -> None:
        self._file = pq.ParquetWriter(out, SCHEMA, compression="zstd")

    def write(self, block: Block, send_after: Moments) -> None:
        if not len(block):
            return
        ends = pa.array(np.append(block.starts, len(block)).astype(np.int32))
        tiers = pc.index_in(block.rest["tiers"], value_set=TIER_WORDS).to_numpy()
        lists = [block.item_ids, *(block.rest[name].combine_chunks() for name in _LISTS[1:])]
        columns = [
            pa.array(block.user_ids[block.starts]),
            TIER_WORDS.take(pa.array(np.minimum.reduceat(tiers, block.starts))),
            *(pa.ListArray.from_arrays(ends, one) for one in lists),
            pa.array(send_after[block.starts], SCHEMA.field("send_after").type),
        ]
        self._file.write_batch(pa.record_batch(columns, schema=SCHEMA))

    def close(self) -> None:
        self._file.close()


class _CsvAgain:
    """Ranks are counted anew."""

    def __init__(self, out: IO[bytes], *, has_bom: bool) -> None:
        self._out = out
        out.write((b"\xef\xbb\xbf" if has_bom else b"") + ",".join(CSV_COLUMNS[1:]).encode() + b"\r\n")

    def write(self, block: Block, send_after: Moments) -> None:
        rest = [block.rest[name].combine_chunks() for name in ("score", "tier", "reasons")]
        columns = [_text(block.user_ids), _text(block.places + 1), _fields(block.item_ids), *rest]
        self._out.write(_lines(*columns, moments_text(send_after)))

    def close(self) -> None:
        pass


def _lines(*columns: pa.Array) -> memoryview:
    rows = pc.binary_join_element_wise(*columns, ",")
    return content(pc.binary_join_element_wise(rows, "\r\n", ""))


def _text(numbers: Ints) -> pa.StringArray:
    return pc.cast(pa.array(numbers), pa.string())


def _fields(items: pa.StringArray) -> pa.StringArray:
    found = items.dictionary_encode()
    return pa.array(map(csv_field, found.dictionary.to_pylist()), pa.string()).take(found.indices)


def _plain(fields: pa.StringArray) -> pa.StringArray:
    """Without the apostrophe that kept spreadsheets from taking it for a formula."""
    found = fields.dictionary_encode()
    words = (one[1:] if one[:1] == "'" and one[1:2] in _FORMULAS else one for one in found.dictionary.to_pylist())
    return pa.array(words, pa.string()).take(found.indices)
