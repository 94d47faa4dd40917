"""Arrays in binary columns: one row's values end to end, without a copy on the way in or out."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Longs = npt.NDArray[np.int64]


def binary(values: npt.NDArray[Any], sizes: Longs) -> pa.Array:
    """A binary column over contiguous rows: row r holds the next `sizes[r]` entries of `values`.

    Entries of a multi-dimensional array are its rows. Raises OverflowError beyond 2 GiB in one column.
    """
    contiguous = np.ascontiguousarray(values)
    width = contiguous.itemsize * int(np.prod(contiguous.shape[1:], dtype=np.int64))
    ends = np.concatenate([[0], np.cumsum(sizes)]) * width
    if ends[-1] >= 2**31:
        raise OverflowError(f"{ends[-1]} bytes in one binary column: take fewer users at once")
    return pa.Array.from_buffers(
        pa.binary(), len(sizes), [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(contiguous.tobytes())]
    )


def unpacked(column: pa.Array | pa.ChunkedArray, dtype: np.dtype[Any]) -> tuple[npt.NDArray[Any], Longs]:
    """All entries of a binary column end to end, and how many each row holds; a null holds none."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not len(array):
        return np.empty(0, dtype), np.zeros(0, np.int64)
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    sizes = np.diff(ends) // dtype.itemsize
    if data is None or ends[-1] == ends[0]:
        return np.empty(0, dtype), sizes
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].view(dtype), sizes
