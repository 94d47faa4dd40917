"""Ids start at 1 since contracts 1.1 of bronze. Rows that 1.0 let through are rejected as they would be today, so that
silver leaves them out whenever a day is made again, also where the delivery itself is gone.
"""

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import REJECTED, USER_ID
from data_contracts.tables import contract, table_names
from spark_jobs.lake.tables import table_exists, table_uri


def reject_impossible_user_ids(spark: SparkSession, lake: str) -> None:
    """A table where it is done has no such rows left, so doing it again writes nothing."""
    for name in table_names():
        promised = contract(name)
        if promised.is_as_delivered and USER_ID in promised.column_names and table_exists(lake, name):
            impossible = (F.col(USER_ID) < 1) & F.col(REJECTED).isNull()
            table = DeltaTable.forPath(spark, table_uri(lake, name))
            table.update(impossible, {REJECTED: F.lit(f"{USER_ID} is out of range")})
