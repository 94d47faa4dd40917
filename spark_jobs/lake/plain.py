"""Small lake tables read without Spark: the rows of a table's last write, wherever they lie by now."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow.parquet as pq

from data_contracts.columns import AS_OF
from spark_jobs.lake.commits import last_written_files
from spark_jobs.lake.files import file_system
from spark_jobs.lake.tables import table_uri


def last_written(lake: str, table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a table, or of the partitions, that one write replaces whole; nothing where there is none."""
    uri = table_uri(lake, table)
    rows: list[dict[str, Any]] = []
    for file in last_written_files(uri):
        system, path = file_system(file.uri(uri))
        partition = {name: value for name, value in file.partition.items() if name in columns}
        with system.open_input_file(path) as stream:
            stored = pq.read_table(stream, columns=[name for name in columns if name not in partition])
        rows += [{**row, **partition} for row in stored.to_pylist()]
    return rows


def written_of_night(lake: str, table: str, columns: Sequence[str], as_of: date) -> list[dict[str, Any]]:
    """Rows of an as-of, where the last write was of that one; nothing where it was of another."""
    rows = last_written(lake, table, list(dict.fromkeys([AS_OF, *columns])))
    return [row for row in rows if row[AS_OF] == as_of.isoformat()]
