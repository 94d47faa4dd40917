"""A lake as it was: its tables at recorded Delta versions, in another folder, without a copy of their rows."""

from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from spark_jobs.lake.tables import table_uri


def clone_lake(spark: SparkSession, lake: str, versions: Mapping[str, int], *, to: str) -> None:
    """Shallow clones (Delta) of tables at these versions. Raises InputError for a version whose log is gone.

    Rows are read from the lake's own files: those of a version that upkeep or an erasure took away are missing.
    """
    for name, version in versions.items():
        source, target = table_uri(lake, name), table_uri(to, name)
        try:
            spark.sql(f"CREATE TABLE delta.`{target}` SHALLOW CLONE delta.`{source}` VERSION AS OF {version}")
        except AnalysisException as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(f"{source} cannot be read as of version {version}: {first}") from error
