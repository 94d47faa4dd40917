"""What delivered files hold, told by Parquet footers and Avro headers alone, and whether their contract allows it.

So a broken delivery is refused before Spark reads a row and before anything is written.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.columns import CLIENT_ID, USER_ID
from data_contracts.errors import InputError
from data_contracts.tables import Column, ColumnType
from spark_jobs.ingest.deliveries import Delivery, SourceFile
from spark_jobs.ingest.sources import Layout, Source
from spark_jobs.lake.files import file_system, open_stream

# Kinds of stored values that may fill a column of a type. A null column may fill whatever may be null.
_ACCEPTED: Mapping[ColumnType, frozenset[str]] = {
    ColumnType.BOOLEAN: frozenset({"boolean"}),
    ColumnType.TINYINT: frozenset({"integer"}),
    ColumnType.SMALLINT: frozenset({"integer"}),
    ColumnType.INT: frozenset({"integer"}),
    ColumnType.BIGINT: frozenset({"integer", "decimal", "duration[s]", "duration[ms]", "duration[us]", "duration[ns]"}),
    ColumnType.FLOAT: frozenset({"floating", "integer", "decimal"}),
    ColumnType.DOUBLE: frozenset({"floating", "integer", "decimal"}),
    ColumnType.STRING: frozenset({"string"}),
    ColumnType.DATE: frozenset({"date"}),
    ColumnType.TIMESTAMP: frozenset({"timestamp"}),
    ColumnType.FLOATS: frozenset({"floats"}),
}
_EMPTY_FILE = 0
# The kind of a user id that the file gives as a client id, for ingest to map.
CLIENT = "client"
_THREADS = 4


@dataclass(frozen=True)
class Content:
    """A file with its row count and the kind of each column of its contract, in contract order.

    `unknown`: columns that the contract does not name; they are left out. `schema` is the writer's schema of an Avro
    file, which Spark reads it with; empty for Parquet.
    """

    file: SourceFile
    rows: int
    kinds: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    schema: str = ""


@dataclass(frozen=True)
class Checked:
    """A delivery whose files are readable and fit their contract; files without rows are left out of `contents`."""

    delivery: Delivery
    contents: tuple[Content, ...]

    @property
    def rows(self) -> int:
        return sum(content.rows for content in self.contents)


def check_deliveries(deliveries: Iterable[Delivery]) -> tuple[Checked, ...]:
    """Open every file's footer or header. Raises InputError for the first file that is broken or off its contract."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return tuple(threads.map(_check, deliveries))


def _check(delivery: Delivery) -> Checked:
    read = _avro_content if delivery.source.layout is Layout.HOURLY else _parquet_content
    contents = [read(file, delivery.source) for file in delivery.files if file.size > _EMPTY_FILE]
    return Checked(delivery, tuple(content for content in contents if content.rows))


def _parquet_content(file: SourceFile, source: Source) -> Content:
    system, path = file_system(file.uri)
    try:
        with pq.ParquetFile(system.open_input_file(path)) as parquet:
            rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(file, source, "Parquet", error) from error
    stored = {field.name: _arrow_kind(field.type) for field in schema}
    return _content(stored, file=file, rows=rows, source=source)


def _avro_content(file: SourceFile, source: Source) -> Content:
    """Walks the blocks, which finds a cut-off file too."""
    system, path = file_system(file.uri)
    try:
        with open_stream(system, path) as stream:
            blocks = fastavro.block_reader(stream)
            rows = sum(block.num_records for block in blocks)
            schema = json.loads(blocks.metadata["avro.schema"])
    except (ValueError, EOFError, OSError, KeyError, IndexError) as error:
        raise _broken(file, source, "Avro", error) from error
    stored = {field["name"]: _avro_kind(field["type"]) for field in schema.get("fields", ())}
    return _content(stored, file=file, rows=rows, source=source, schema=json.dumps(schema))


def _broken(file: SourceFile, source: Source, form: str, error: Exception) -> InputError:
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(
        f"{file.uri}: not a readable {form} file, {file.size} bytes, row count unknown "
        f"(contract {source.table} {source.contract.version}): {first_line}; deliver it again"
    )


def _content(stored: Mapping[str, str], *, file: SourceFile, rows: int, source: Source, schema: str = "") -> Content:
    """A file without rows fits any contract: nothing of it is read."""
    if stored.get(CLIENT_ID) == "string" and USER_ID not in stored:
        stored = {**stored, USER_ID: CLIENT}
    faults = list(_faults(stored, source.file_columns)) if rows else []
    if faults:
        raise InputError(
            f"{file.uri}: {rows} rows against contract {source.table} {source.contract.version}: {'; '.join(faults)}; "
            "deliver the file as promised, or raise the contract's version and migrate its table"
        )
    known = [column.name for column in source.file_columns]
    read = {*known, CLIENT_ID} if stored.get(USER_ID) == CLIENT else {*known}
    unknown = sorted(set(stored) - read) if rows else []
    return Content(file, rows, tuple(stored.get(name, "") for name in known), tuple(unknown), schema)


def _faults(stored: Mapping[str, str], columns: Iterable[Column]) -> Iterator[str]:
    """The contract's difference, a column at a time: what was expected and what was found."""
    for column in columns:
        kind = stored.get(column.name)
        if kind is None:
            yield f"column {column.name} is missing, expected {column.type.value}"
        elif kind == CLIENT and column.name == USER_ID:
            continue
        elif kind not in _ACCEPTED[column.type] and not (kind == "null" and column.nullable):
            yield f"column {column.name} is {kind}, expected {column.type.value}"


def drifted(checked: Iterable[Checked]) -> Iterator[str]:
    """A warning for each source and unknown column: the contract may want to know it. Names the first file with it."""
    files: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in checked:
        for content in one.contents:
            for name in content.unknown:
                files[one.delivery.source.name, name].append(content.file.uri)
    for (source, name), uris in sorted(files.items()):
        more = f" and {len(uris) - 1} more files" if len(uris) > 1 else ""
        yield f"{source}: column {name} is not in contract bronze.{source} and is left out: {min(uris)}{more}"


def _arrow_kind(type_: pa.DataType) -> str:
    """One word for what a Parquet column stores; types that nothing accepts keep Arrow's name."""
    if pa.types.is_dictionary(type_):
        return _arrow_kind(type_.value_type)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return "floats" if pa.types.is_floating(type_.value_type) else str(type_)
    if pa.types.is_timestamp(type_):
        return str(type_) if type_.unit == "ns" else "timestamp"  # Spark cannot read nanoseconds
    return next((kind for kind, is_kind in _ARROW_KINDS.items() if is_kind(type_)), str(type_))


_ARROW_KINDS: Mapping[str, Any] = {
    "integer": pa.types.is_integer,
    "floating": pa.types.is_floating,
    "decimal": pa.types.is_decimal,
    "string": lambda type_: pa.types.is_string(type_) or pa.types.is_large_string(type_),
    "boolean": pa.types.is_boolean,
    "date": pa.types.is_date,
    "null": pa.types.is_null,
}
_AVRO_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("float", "double"), "floating"),
    **dict.fromkeys(("string", "enum"), "string"),
    **dict.fromkeys(("timestamp-micros", "timestamp-millis"), "timestamp"),
}


def _avro_kind(type_: Any) -> str:
    """The same word for an Avro type: a union with null is its other branch, a logical type goes before its base."""
    if isinstance(type_, list):
        branches = [branch for branch in type_ if branch != "null"]
        return _avro_kind(branches[0]) if len(branches) == 1 else "null" if not branches else "union"
    if isinstance(type_, dict):
        return _avro_kind(type_.get("logicalType", type_["type"]))
    return _AVRO_KINDS.get(str(type_), str(type_))
