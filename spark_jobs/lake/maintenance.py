"""Upkeep of a Delta table: rows past their contract's retention, too many small files, versions nobody needs any more.

None of it changes a row that a night may still read, and a killed upkeep is simply done again.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from delta.tables import DeltaTable
from pyarrow import fs
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_jobs.lake.commits import newest_version, note_of_days
from spark_jobs.lake.files import delete_folder, file_system


@dataclass(frozen=True)
class Limits:
    """`small_files`: a partition of more files than this is compacted; `vacuum_hours`: how long old versions stay."""

    small_files: int
    vacuum_hours: int


@dataclass(frozen=True)
class Upkeep:
    """What was taken away: rows expired, data files and bytes fewer on disk (compaction adds before it frees)."""

    table: str
    expired_rows: int
    compacted_partitions: int
    files_removed: int
    bytes_removed: int


@dataclass(frozen=True)
class Table:
    """A table's name and place. Rows whose `partition`, a date, is older than `retention_days` expire; None: never."""

    name: str
    uri: str
    partition: str | None
    retention_days: int | None

    @property
    def exists(self) -> bool:
        return newest_version(self.uri) is not None


def maintain(spark: SparkSession, table: Table, *, as_of: date, limits: Limits) -> Upkeep:
    """Expire, compact, vacuum. For a table that exists; nobody else may be writing it."""
    before = _usage(table.uri)
    # Whoever adds up days learns from the note that no day changed.
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", note_of_days(()))
    try:
        expired = _expire(spark, table, as_of=as_of)
        compacted = _compact(spark, table, most=limits.small_files)
    finally:
        spark.conf.unset("spark.databricks.delta.commitInfo.userMetadata")
    _vacuum(spark, table.uri, hours=limits.vacuum_hours)
    after = _usage(table.uri)
    return Upkeep(table.name, expired, compacted, before[0] - after[0], before[1] - after[1])


def expire_folders(uri: str, *, before: date) -> int:
    """Remove subfolders named by a day before this one, as landed topics have. Returns how many."""
    system, root = file_system(uri)
    infos = system.get_file_info(fs.FileSelector(root, allow_not_found=True))
    days = [info.base_name for info in infos if info.type == fs.FileType.Directory and _is_day(info.base_name)]
    old = [day for day in days if date.fromisoformat(day) < before]
    for day in old:
        delete_folder(f"{uri}/{day}")
    return len(old)


def _expire(spark: SparkSession, table: Table, *, as_of: date) -> int:
    if table.partition is None or table.retention_days is None:
        return 0
    delta = DeltaTable.forPath(spark, table.uri)
    is_old = F.col(table.partition) < F.lit(as_of - timedelta(days=table.retention_days))
    rows = delta.toDF().where(is_old).count()
    if rows:
        delta.delete(is_old)
    return rows


def _compact(spark: SparkSession, table: Table, *, most: int) -> int:
    """Returns how many partitions had too many files; a table without partitions counts as one."""
    delta = DeltaTable.forPath(spark, table.uri)
    folders = Counter(path.rpartition("/")[0] for path in delta.toDF().inputFiles())
    crowded = [folder for folder, files in folders.items() if files > most]
    if not crowded:
        return 0
    optimize = delta.optimize()
    if table.partition is not None:
        days = [folder.partition(f"{table.partition}=")[2].partition("/")[0] for folder in crowded]
        values = ", ".join(f"DATE'{day}'" for day in sorted(set(days)) if _is_day(day))
        optimize = optimize.where(f"{table.partition} IN ({values})") if values else optimize
    optimize.executeCompaction()
    return len(crowded)


def _vacuum(spark: SparkSession, uri: str, *, hours: int) -> None:
    """Without commits of its own: a table's last commit is what its writer said."""
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    spark.conf.set("spark.databricks.delta.vacuum.logging.enabled", "false")
    DeltaTable.forPath(spark, uri).vacuum(hours)


def _usage(uri: str) -> tuple[int, int]:
    """Data files and their bytes, of all versions."""
    system, root = file_system(uri)
    infos = system.get_file_info(fs.FileSelector(root, recursive=True))
    sizes = [info.size for info in infos if info.path.endswith(".parquet") and "/_delta_log/" not in info.path]
    return len(sizes), sum(sizes)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
