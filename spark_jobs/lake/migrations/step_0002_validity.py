"""Customers and aggregates have validity intervals since contracts 2.0. What 1.0 wrote knows one export only, so it is
removed: ingest then tells both tables anew from all exports that bronze still holds.
"""

from pyspark.sql import SparkSession

from spark_jobs.lake.files import delete_folder
from spark_jobs.lake.tables import table_exists, table_uri

_TABLES = ("silver.customers", "silver.aggregates")
_SINCE_2 = "valid_from"


def remove_tables_without_validity(spark: SparkSession, lake: str) -> None:
    """A lake where it is done has no such tables left."""
    for name in _TABLES:
        if table_exists(lake, name):
            columns = spark.read.format("delta").load(table_uri(lake, name)).columns
            if _SINCE_2 not in columns:
                delete_folder(table_uri(lake, name))
