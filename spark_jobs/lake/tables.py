"""Reads and writes of lake tables by contract: the only code that knows where a table lies and how it is replaced."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import FEATURE_PREFIX
from data_contracts.errors import InputError
from data_contracts.tables import TableContract, contract
from spark_jobs.lake.commits import last_commit, newest_version


def table_uri(lake: str, name: str) -> str:
    """`silver.interactions` lies at `{lake}/silver/interactions`."""
    return f"{lake}/{name.replace('.', '/', 1)}"


def table_exists(lake: str, name: str) -> bool:
    return newest_version(table_uri(lake, name)) is not None


def read_table(spark: SparkSession, lake: str, name: str) -> DataFrame:
    """A table in its contract's column order; empty, with the right schema, where nothing was ever written."""
    promised = contract(name)
    if not table_exists(lake, name):
        return empty_table(spark, name)
    frame = spark.read.format("delta").load(table_uri(lake, name))
    return frame if promised.feature_columns else frame.select(*_as_promised(frame, promised))


def _as_promised(frame: DataFrame, promised: TableContract) -> list[Column]:
    """Columns of a table that an older version of its contract may have written: what it lacks and may be null is."""
    lacking = set(promised.column_names) - set(frame.columns)
    if lost := sorted(column.name for column in promised.columns if column.name in lacking and not column.nullable):
        raise InputError(
            f"{promised.name} was written by an older contract than {promised.version} and lacks {', '.join(lost)}: "
            "make it anew, or add a step to spark_jobs/lake/migrations"
        )
    return [
        (F.lit(None) if column.name in lacking else F.col(column.name)).cast(column.type.value).alias(column.name)
        for column in promised.columns
    ]


def empty_table(spark: SparkSession, name: str) -> DataFrame:
    return spark.createDataFrame([], contract(name).ddl)


def write_table(
    frame: DataFrame,
    lake: str,
    name: str,
    *,
    partitions: Sequence[date | None] | None = None,
    made_from: str | None = None,
) -> int:
    """Replace `partitions` (values of the first partition column; None is one too), or the whole table where none are
    given.

    So the same input twice gives the same table, also when a day has become empty. The frame must have exactly the
    contract's columns (and its feature columns where the contract is open); they are cast to the contract's types.
    `made_from`: a fingerprint of the inputs, kept with the commit as its `note`. Returns the Delta version.
    """
    promised = contract(name)
    typed = _typed(frame, promised)
    writer = typed.write.format("delta").mode("overwrite").option("partitionOverwriteMode", "static")
    if promised.partition_by:
        writer = writer.partitionBy(*promised.partition_by)
    if made_from is not None:
        writer = writer.option("userMetadata", made_from)
    if partitions is None:
        writer = writer.option("overwriteSchema", "true")
    elif not partitions:
        raise ValueError(f"{name}: an empty list of partitions replaces nothing")
    elif table_exists(lake, name):
        writer = writer.option("replaceWhere", _is_one_of(promised.partition_by[0], partitions))
        writer = writer.option("mergeSchema", "true")
    writer.save(table_uri(lake, name))
    return newest_version(table_uri(lake, name)) or 0


def _is_one_of(column: str, values: Sequence[date | None]) -> str:
    """SQL that is true of the partitions with these values."""
    dates = ", ".join(f"DATE'{value.isoformat()}'" for value in sorted({value for value in values if value}))
    parts = ([f"{column} IN ({dates})"] if dates else []) + ([f"{column} IS NULL"] if None in values else [])
    return " OR ".join(parts)


def _typed(frame: DataFrame, promised: TableContract) -> DataFrame:
    features = sorted(set(frame.columns) - set(promised.column_names)) if promised.feature_columns else []
    have, want = set(frame.columns) - set(features), set(promised.column_names)
    stray = [name for name in features if not name.startswith(FEATURE_PREFIX)]
    if have != want or stray:
        missing, extra = sorted(want - have), sorted((have - want) | set(stray))
        raise InputError(f"{promised.name} against its contract: missing columns {missing}, unknown columns {extra}")
    columns = [F.col(column.name).cast(column.type.value) for column in promised.columns]
    return frame.select(*columns, *(F.col(name).cast("float") for name in features))


def rows_written(lake: str, name: str) -> int:
    """How many rows the last write put into a table, as Delta counted them."""
    commit = last_commit(table_uri(lake, name))
    return 0 if commit is None else commit.rows
