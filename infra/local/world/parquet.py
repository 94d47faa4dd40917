"""Arrow columns made fast from NumPy arrays, and Parquet files with the same bytes every time."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from infra.local.world.arrays import Bools, Floats, Ints

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def write_parquet(table: pa.Table, path: Path) -> int:
    """Returns the number of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="snappy", row_group_size=262_144)
    return int(table.num_rows)


def words(vocabulary: pa.Array, codes: npt.ArrayLike, *, null: Bools | None = None) -> pa.Array:
    """The word of each code; null where `null`."""
    return vocabulary.take(pa.array(np.asarray(codes, dtype=np.int32), mask=null))


def large(*values: str) -> pa.Array:
    return pa.array(values, pa.large_string())


def hashes(values: npt.NDArray[np.uint64]) -> pa.Array:
    """Sixteen hexadecimal digits each."""
    octets = values.astype(">u8").view(np.uint8)
    digits = np.stack([_HEX[octets >> 4], _HEX[octets & 15]], axis=1).reshape(-1)
    offsets = np.arange(len(values) + 1, dtype=np.int64) * 16
    return pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(digits))


def vectors(matrix: Floats, *, null: Bools | None = None, empty: Bools | None = None) -> pa.Array:
    """A list of floats a row; no value at all where `null`, no elements where `empty`."""
    n, width = matrix.shape
    gone = np.zeros(n, dtype=bool) if null is None else null
    kept = ~gone if empty is None else ~gone & ~empty
    offsets = np.concatenate([[0], np.cumsum(np.where(kept, width, 0))]).astype(np.int32)
    flat = pa.array(np.ascontiguousarray(matrix[kept]).reshape(-1), pa.float32())
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(gone))


def unsigned(values: Ints, *, null: Bools | None = None) -> pa.Array:
    return pa.array(values.astype(np.uint64), mask=null)


def durations(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds).cast(pa.duration("us"))
