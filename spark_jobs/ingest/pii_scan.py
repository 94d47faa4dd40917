"""Warnings about delivered values that look personal: from a bounded sample, before anything of it is written.

A sample is the first rows of a delivery, so a night costs a few thousand values a source, whatever it brought. What is
told is table, column, kind and count; a value never leaves this module.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, cast

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.columns import CLIENT_ID
from data_contracts.pii import suspicious
from spark_jobs.ingest.contents import Checked, Content
from spark_jobs.ingest.sources import Layout, Source
from spark_jobs.lake.files import file_system, open_stream

SAMPLE_ROWS = 1000
# A first night brings years: the latest days tell enough.
_LATEST_DAYS = 7
_THREADS = 4

Strings = Mapping[str, list[str]]


def personal_looking(checked: Iterable[Checked]) -> tuple[str, ...]:
    """A warning a column and kind, columns that no contract knows included."""
    by_source: dict[Source, list[Checked]] = defaultdict(list)
    for one in checked:
        if one.contents:
            by_source[one.delivery.source].append(one)
    with ThreadPoolExecutor(_THREADS) as threads:
        told = threads.map(lambda source: list(_warnings(source, by_source[source])), by_source)
        return tuple(line for lines in told for line in lines)


def _warnings(source: Source, deliveries: list[Checked]) -> Iterator[str]:
    found: dict[tuple[str, str], int] = Counter()
    sampled: dict[str, int] = Counter()
    for delivery in sorted(deliveries, key=lambda one: str(one.delivery.day))[-_LATEST_DAYS:]:
        for column, values in _sample(source, delivery.contents[0]).items():
            sampled[column] += len(values)
            for kind, count in suspicious(values).items():
                found[column, kind] += count
    for (column, kind), count in sorted(found.items()):
        yield f"{source.table}.{column}: {count} of {sampled[column]} sampled values look like a person's {kind}"


def _sample(source: Source, content: Content) -> Strings:
    """The string values of the first rows by column. An external client id is not kept, so it is not judged."""
    read = _avro_strings if source.layout is Layout.HOURLY else _parquet_strings
    return {column: values for column, values in read(content).items() if column != CLIENT_ID}


def _parquet_strings(content: Content) -> Strings:
    system, path = file_system(content.file.uri)
    with pq.ParquetFile(system.open_input_file(path)) as parquet:
        names = [field.name for field in parquet.schema_arrow if _is_text(field.type)]
        batch = next(parquet.iter_batches(batch_size=SAMPLE_ROWS, columns=names), None) if names else None
    return {} if batch is None else {name: [v for v in batch.column(name).to_pylist() if v] for name in names}


def _is_text(type_: pa.DataType) -> bool:
    plain = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _avro_strings(content: Content) -> Strings:
    system, path = file_system(content.file.uri)
    strings: dict[str, list[str]] = defaultdict(list)
    with open_stream(system, path) as stream:
        for record in islice(fastavro.reader(stream), SAMPLE_ROWS):
            for name, value in cast("Mapping[str, Any]", record).items():
                if isinstance(value, str) and value:
                    strings[name].append(value)
    return strings
