"""Rows kept out of silver, with their reasons: `{lake}/quarantine/<source>`, one row each, replaced with their day."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import reduce

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import DAY, REASON
from spark_jobs.ingest.bronze import REJECTED
from spark_jobs.ingest.ledger import Key
from spark_jobs.ingest.sources import Source
from spark_jobs.lake.tables import read_table

Days = Mapping[Source, Sequence[date]]


def quarantine(spark: SparkSession, lake: str, changed: Days) -> Mapping[Key, Counter[str]]:
    """Copy the rejected rows of the changed days (all rows of a source without days). Returns their count by reason.

    Bronze keeps its verdict beside each row, so where nothing was rejected no file is read.
    """
    rejected = {source: _rejected(spark, lake, source, days) for source, days in changed.items()}
    counts = _counts(rejected.values())
    bad = {name for name, _ in counts}
    for source, days in changed.items():
        if source.name in bad or DeltaTable.isDeltaTable(spark, _uri(lake, source)):
            _write(rejected[source], lake, source, days)
    return counts


def _rejected(spark: SparkSession, lake: str, source: Source, days: Sequence[date]) -> DataFrame:
    """source, day, reason and the row as JSON; embeddings are left out of it."""
    names = [column.name for column in source.file_columns if not column.type.value.startswith("array")]
    rows = read_table(spark, lake, source.table).where(F.col(REJECTED).isNotNull())
    return (rows.where(F.col(DAY).isin(list(days))) if source.is_dated else rows).select(
        F.lit(source.name).alias("source"),
        (F.col(DAY) if source.is_dated else F.lit(None).cast("date")).alias(DAY),
        F.col(REJECTED).alias(REASON),
        F.to_json(F.struct(*names)).alias("row"),
    )


def _counts(frames: Collection[DataFrame]) -> Mapping[Key, Counter[str]]:
    counts: dict[Key, Counter[str]] = defaultdict(Counter)
    if frames:
        grouped = reduce(DataFrame.unionByName, frames).groupBy("source", DAY, REASON).count()
        for name, day, reason, count in grouped.collect():
            counts[name, day][reason] = count
    return dict(counts)


def _write(rows: DataFrame, lake: str, source: Source, days: Sequence[date]) -> None:
    writer = rows.write.format("delta").mode("overwrite").option("partitionOverwriteMode", "static")
    if source.is_dated and DeltaTable.isDeltaTable(rows.sparkSession, _uri(lake, source)):
        values = ", ".join(f"DATE'{day.isoformat()}'" for day in sorted(days))
        writer = writer.option("replaceWhere", f"{DAY} IN ({values})")
    writer.partitionBy(DAY).save(_uri(lake, source))


def _uri(lake: str, source: Source) -> str:
    return f"{lake}/quarantine/{source.name}"
