"""Rows kept out of silver, with their reasons: `{lake}/quarantine/<source>`, one row each, replaced with their day."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import DAY, REASON, REJECTED
from spark_jobs.ingest.ledger import Key
from spark_jobs.ingest.sources import Source
from spark_jobs.lake.commits import last_commit, newest_version
from spark_jobs.lake.tables import read_table, table_uri


def quarantine(spark: SparkSession, lake: str, changed: Mapping[Source, Sequence[date]]) -> Mapping[Key, Counter[str]]:
    """Copy the rejected rows of the days just written to bronze (all rows of a source without days).

    Returns their count by delivery and reason. Bronze keeps its verdict beside each row and Delta counts the verdicts
    as it writes, so a source of which nothing was rejected is not read again.
    """
    counts: dict[Key, Counter[str]] = defaultdict(Counter)
    for source, days in changed.items():
        has_rejected = _has_rejected(lake, source)
        if has_rejected or newest_version(_uri(lake, source)) is not None:
            rows = _rejected(spark, lake, source, days)
            _write(rows, lake, source, days)
            for day, reason, count in rows.groupBy(DAY, REASON).count().collect() if has_rejected else ():
                counts[source.name, day][reason] = count
    return dict(counts)


def _has_rejected(lake: str, source: Source) -> bool:
    commit = last_commit(table_uri(lake, source.table))
    return commit is not None and any(file.nulls.get(REJECTED, 0) < file.rows for file in commit.added)


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


def _write(rows: DataFrame, lake: str, source: Source, days: Sequence[date]) -> None:
    uri = _uri(lake, source)
    writer = rows.write.format("delta").mode("overwrite").option("partitionOverwriteMode", "static")
    if source.is_dated and newest_version(uri) is not None:
        values = ", ".join(f"DATE'{day.isoformat()}'" for day in sorted(days))
        writer = writer.option("replaceWhere", f"{DAY} IN ({values})")
    writer.partitionBy(DAY).save(uri)


def _uri(lake: str, source: Source) -> str:
    return f"{lake}/quarantine/{source.name}"
