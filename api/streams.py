"""Tables as files that are read as they are written: Arrow and Parquet with an end that tells, and compressed bytes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

# The key of what tells that nothing is missing.
END = "end"


class Out:
    """A file that is read as it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        found, self._parts = b"".join(self._parts), []
        return found

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class ArrowStream:
    """The end is the metadata of a last batch without rows."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema, self._out = schema, Out()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._stream = pa.ipc.new_stream(pa.PythonFile(self._out, mode="w"), schema, options=options)

    def start(self) -> bytes:
        return self._out.taken()

    def put(self, batch: pa.RecordBatch, told: Mapping[str, str | bytes] | None = None) -> bytes:
        """`told`: metadata of the batch."""
        self._stream.write_batch(batch, custom_metadata=told)
        return self._out.taken()

    def end(self, told: Mapping[str, Any]) -> bytes:
        last = self.put(pa.RecordBatch.from_pylist([], schema=self._schema), {END: orjson.dumps(told)})
        self._stream.close()
        return last + self._out.taken()


class ParquetStream:
    """A batch is a row group; the end is the file's metadata."""

    def __init__(self, schema: pa.Schema) -> None:
        self._out = Out()
        self._file = pq.ParquetWriter(pa.PythonFile(self._out, mode="w"), schema, compression="zstd")

    def start(self) -> bytes:
        return self._out.taken()

    def put(self, batch: pa.RecordBatch) -> bytes:
        if batch.num_rows:
            self._file.write_batch(batch)
        return self._out.taken()

    def end(self, told: Mapping[str, Any]) -> bytes:
        self._file.add_key_value_metadata({END: orjson.dumps(told).decode()})
        self._file.close()
        return self._out.taken()


def compressed(parts: Iterable[bytes], codec: str) -> Iterator[bytes]:
    """Bytes as they come, `gzip` or `zstd`, each part whole when it is sent."""
    out = Out()
    stream = pa.CompressedOutputStream(pa.PythonFile(out, mode="w"), codec)
    for part in parts:
        stream.write(part)
        stream.flush()
        yield out.taken()
    stream.close()
    yield out.taken()
