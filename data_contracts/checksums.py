"""Checksum of a snapshot's table: of its content only, whatever the order of rows, files or the clock.

ClickHouse computes the very same number after a load (`sql/*/checksum.sql`), so the two must change together.

    mix(x)      = ClickHouse's intHash64: the finaliser of MurmurHash3 (Appleby, 2011) on x ^ 0x4CF2D2BAAE6DA887
    value       = integers in two's complement; float32 as its bits; strings as CRC32 + length in bytes * 2^32
    row         = mix(sum over columns c and positions j, both from 1, of mix(mix(value) + c * 2^32 + j))
    checksum    = sum of the rows
All in unsigned 64 bits that wrap. A scalar is an array of one. `mix` is one-to-one, so one changed number always
changes the checksum; a changed string or several changes may collide by chance only. This guards against accidents,
not malice.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.columns import (
    FAMILY,
    ITEM,
    ITEM_CODE,
    ITEM_ID,
    KIND,
    OFFER_ITEMS,
    OFFER_REASONS,
    OFFER_SCORES,
    PRODUCT_ID,
    PRODUCT_ITEMS,
    PRODUCT_REASONS,
    PRODUCT_SCORES,
    SCORE,
    SEGMENT,
    SHORTFALL,
    USER_ID,
    VARIANT,
)
from data_contracts.errors import InputError
from data_contracts.manifest import TableCounts

_ARRAYS = (PRODUCT_ITEMS, PRODUCT_SCORES, PRODUCT_REASONS, OFFER_ITEMS, OFFER_SCORES, OFFER_REASONS)

# The snapshot's tables and their columns, in the order in which they are numbered.
SNAPSHOT_COLUMNS: dict[str, tuple[str, ...]] = {
    "lists": (USER_ID, VARIANT, *_ARRAYS),
    "fallback_lists": ("tier", SEGMENT, *_ARRAYS),
    "user_state": (
        USER_ID,
        SEGMENT,
        "holdings",
        "birth_year",
        "region",
        "income_band",
        "employment",
        "score_band",
        "arrears_days",
        "consents",
    ),
    "items": (ITEM_CODE, ITEM_ID, KIND, FAMILY, "name_en", "name_ru"),
    "portraits": (PRODUCT_ID, "feature", "holders", "holders_mean", "everyone_mean"),
    "audience_pool": (VARIANT, ITEM, SHORTFALL, USER_ID, SCORE),
}
# Snapshots of before there were such tables lack them.
LATER_TABLES = frozenset({"audience_pool"})

Hashes = NDArray[np.uint64]
_NULL = np.uint64(0x9E3779B97F4A7C15)
_BATCH_ROWS = 65_536


def counts_of(batches: Iterable[pa.RecordBatch], *, table: str) -> TableCounts:
    """Rows and checksum of a snapshot's table, read once in any pieces. Raises InputError when a column is missing."""
    rows, total = 0, 0
    for batch in batches:
        rows += batch.num_rows
        total += int(row_hashes(batch, table=table).sum(dtype=np.uint64))
    return TableCounts(rows=rows, checksum=f"{total % 2**64:016x}")


def parquet_batches(files: Iterable[pq.ParquetFile], *, table: str) -> Iterator[pa.RecordBatch]:
    """The batches of opened Parquet files, of the table's columns only."""
    for file in files:
        present = [name for name in SNAPSHOT_COLUMNS[table] if name in file.schema_arrow.names]
        yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=present)


def row_hashes(batch: pa.RecordBatch, *, table: str) -> Hashes:
    """One hash a row; their wrapping sum is the checksum, so parts of a table may be summed anywhere."""
    columns = SNAPSHOT_COLUMNS[table]
    missing = sorted(set(columns) - set(batch.schema.names))
    if missing:
        raise InputError(f"snapshot table {table} lacks columns {', '.join(missing)}")
    sums = np.zeros(batch.num_rows, dtype=np.uint64)
    for number, name in enumerate(columns, start=1):
        column = batch.column(name)
        sums += _array_terms(column, number) if _is_list(column) else _terms(_values(column), np.uint64(1), number)
    return mix(sums)


def _array_terms(column: Any, number: int) -> Hashes:
    offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    values = _values(column.values[offsets[0] : offsets[-1]])
    starts = offsets - offsets[0]
    positions = np.arange(1, len(values) + 1, dtype=np.uint64) - np.repeat(starts[:-1], np.diff(starts)).astype(
        np.uint64
    )
    running = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(_terms(values, positions, number), out=running[1:])
    return np.asarray(running[starts[1:]] - running[starts[:-1]])


def _terms(values: Hashes, positions: Hashes | np.uint64, number: int) -> Hashes:
    hashes = mix(values)
    hashes += np.uint64(number << 32)
    hashes += positions
    return mix(hashes)


def _values(column: Any) -> Hashes:
    """Each cell as 64 bits."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        values = _string_values(column)
    elif pa.types.is_floating(column.type):
        numbers = pc.fill_null(column.cast(pa.float32()), 0.0).to_numpy(zero_copy_only=False)
        values = np.asarray(numbers, dtype=np.float32).view(np.uint32).astype(np.uint64)
    else:
        numbers = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        values = np.asarray(numbers).astype(np.int64).view(np.uint64)
    if column.null_count:
        values[column.is_null().to_numpy(zero_copy_only=False)] = _NULL
    return values


def _string_values(column: Any) -> Hashes:
    """Hashed once a distinct string: most string columns of a snapshot hold few."""
    encoded = column.fill_null("").dictionary_encode()
    texts = [text.encode() for text in encoded.dictionary.to_pylist()]
    distinct = np.array([zlib.crc32(text) + (len(text) << 32) for text in texts], dtype=np.uint64)
    return np.asarray(distinct[encoded.indices.to_numpy(zero_copy_only=False)])


def mix(values: Hashes) -> Hashes:
    x = values ^ np.uint64(0x4CF2D2BAAE6DA887)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    x ^= x >> np.uint64(33)
    return np.asarray(x)


def _is_list(column: Any) -> bool:
    return bool(pa.types.is_list(column.type) or pa.types.is_large_list(column.type))
