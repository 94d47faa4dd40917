"""A frame on the driver as an Arrow table, typed also when it has no rows; order is the caller's to ask for."""

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema


def collected(rows: DataFrame, *, sort_by: str | None = None) -> pa.Table:
    """All rows. sort_by: sorted here by a column, since Spark would compute everything twice for a global order."""
    batches = rows._collect_as_arrow()
    table = pa.Table.from_batches(batches) if batches else to_arrow_schema(rows.schema).empty_table()
    return table.combine_chunks() if sort_by is None else table.combine_chunks().sort_by(sort_by)
