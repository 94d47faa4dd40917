"""Taking a person out of Delta tables, their history included: what is found, what is rewritten, what the log forgets.

Every file of a table counts, also those that no version refers to any more; so do the log's statistics, since a
smallest or largest user id is an id, and the predicates of its commits. Erasing rewrites the files that hold the person
(Delta's DELETE), vacuums all others at once, and scrubs the log: commits keep what they did, when, to which files and
with which note, but neither ranges of values nor predicates. Time travel to before an erasure is over.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq
from delta.tables import DeltaTable
from pyarrow import fs
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import USER_ID
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.commits import note_of_days
from spark_jobs.lake.files import file_system, read_bytes, write_bytes

QUARANTINE = "quarantine"
_LAYERS = ("bronze", "silver", "gold", "identity", QUARANTINE)
_ROW = "row"
_RANGES = ("minValues", "maxValues")


@dataclass(frozen=True)
class Traces:
    """Of one person in one table: rows in files of any version, and log entries that tell the id."""

    rows: int = 0
    log_entries: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self.log_entries)


def delta_tables(lake: str) -> tuple[str, ...]:
    """Every Delta table of a lake, such as `silver/interactions`."""
    system, root = file_system(lake)
    tables = []
    for layer in _LAYERS:
        folders = system.get_file_info(fs.FileSelector(f"{root}/{layer}", allow_not_found=True))
        tables += [f"{layer}/{info.base_name}" for info in folders if info.type == fs.FileType.Directory]
    return tuple(sorted(table for table in tables if _logs(f"{lake}/{table}")))


def find_person(spark: SparkSession, lake: str, user_id: int) -> Mapping[str, Traces]:
    """Traces by table; tables without any are left out."""
    tables = delta_tables(lake)
    rows = _rows_by_table(spark, lake, tables, user_id)
    entries = {table: sum(1 for _ in _telling(f"{lake}/{table}", user_id)) for table in tables}
    traces = {table: Traces(rows[table], entries[table]) for table in tables}
    return {table: found for table, found in traces.items() if found}


def erase_person(spark: SparkSession, lake: str, tables: Iterable[str], user_id: int) -> None:
    """From these tables and their history. Doing it again, as after a kill, is safe."""
    # Whoever adds up days learns from the note that there is nothing to add up again.
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", note_of_days(()))
    try:
        at_once(*(partial(_erase, spark, lake, table, user_id) for table in tables))
    finally:
        spark.conf.unset("spark.databricks.delta.commitInfo.userMetadata")


def _erase(spark: SparkSession, lake: str, table: str, user_id: int) -> None:
    delta = DeltaTable.forPath(spark, f"{lake}/{table}")
    if (_ROW if _is_quarantine(table) else USER_ID) in delta.toDF().columns:
        delta.delete(_is_person(table, user_id))
    forget_history(spark, f"{lake}/{table}")


def forget_history(spark: SparkSession, uri: str) -> None:
    """Leave a table with its newest version's files alone, and a log that tells no value of any row before it.

    Nobody may be writing or reading the table: files still in use would be taken away.
    """
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    spark.conf.set("spark.databricks.delta.vacuum.logging.enabled", "false")
    DeltaTable.forPath(spark, uri).vacuum(0)
    jvm: Any = spark.sparkContext._jvm
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, uri)
    log.checkpoint()
    newest = log.unsafeVolatileSnapshot().version()
    for path in _logs(uri):
        name = PurePosixPath(path).name
        if ".checkpoint" in name and int(name.partition(".")[0]) < newest:
            _delete(uri, path)
        elif name.endswith(".json"):
            _scrub(uri, path)


def _is_quarantine(table: str) -> bool:
    return table.startswith(f"{QUARANTINE}/")


def _is_person(table: str, user_id: int) -> Column:
    if _is_quarantine(table):
        return F.get_json_object(F.col(_ROW), f"$.{USER_ID}") == F.lit(str(user_id))
    return F.col(USER_ID) == F.lit(user_id).cast("bigint")


def _rows_by_table(spark: SparkSession, lake: str, tables: Iterable[str], user_id: int) -> Counter[str]:
    """Counted in the files themselves, two scans for the whole lake."""
    plain = [table for table in tables if not _is_quarantine(table)]
    rejected = [table for table in tables if _is_quarantine(table)]
    counts: Counter[str] = Counter()
    for group, schema in ((plain, f"{USER_ID} bigint"), (rejected, f"{_ROW} string")):
        if not group:
            continue
        files = _raw(spark, lake, group, schema).where(_is_person(group[0], user_id))
        for path, count in files.groupBy("_metadata.file_path").count().collect():
            counts[_table_of(path)] += count
    return counts


def _raw(spark: SparkSession, lake: str, tables: Iterable[str], schema: str) -> DataFrame:
    reader = spark.read.schema(schema).option("recursiveFileLookup", "true").option("pathGlobFilter", "*.parquet")
    return reader.parquet(*(f"{lake}/{table}" for table in tables))


def _table_of(path: str) -> str:
    """From a file's path; the last layer named in it counts, whatever the lake's own folder is called."""
    parts = unquote(path).split("/")
    start = max(place for place, part in enumerate(parts[:-2]) if part in _LAYERS)
    return "/".join(parts[start : start + 2])


def _logs(uri: str) -> list[str]:
    """Paths of the log's files. Delta's own; the checksums that Hadoop lays beside them are hidden."""
    system, path = file_system(f"{uri}/_delta_log")
    infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(info.path for info in infos if info.type == fs.FileType.File and not info.base_name.startswith("."))


def _telling(uri: str, user_id: int) -> Iterator[str]:
    """Log entries that tell the person's id: files' ranges and commits' predicates."""
    system, _ = file_system(uri)
    for path in _logs(uri):
        if path.endswith(".json"):
            for action in _actions(uri, path):
                if _tells(action, user_id):
                    yield path
        elif path.endswith(".parquet"):
            with pq.ParquetFile(system.open_input_file(path)) as checkpoint:
                for entry in checkpoint.read(columns=["add"]).column("add").to_pylist():
                    if entry and _tells({"add": entry}, user_id):
                        yield path


def _actions(uri: str, path: str) -> list[dict[str, Any]]:
    lines = read_bytes(_beside(uri, path)).decode("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _tells(action: Mapping[str, Any], user_id: int) -> bool:
    stats = json.loads((action.get("add") or {}).get("stats") or "{}")
    ranges = [stats.get(name, {}) for name in _RANGES]
    if any(values.get(USER_ID) == user_id or f'"{USER_ID}":{user_id}' in values.get(_ROW, "") for values in ranges):
        return True
    parameters = json.dumps(action.get("commitInfo", {}).get("operationParameters", {}))
    return re.search(rf"(?<!\d){user_id}(?!\d)", parameters) is not None


def _scrub(uri: str, path: str) -> None:
    """Take ranges and predicates out of a commit, atomically; nothing is written where there are none."""
    actions = _actions(uri, path)
    scrubbed = [_scrubbed(action) for action in actions]
    if scrubbed != actions:
        write_bytes(_beside(uri, path), "\n".join(json.dumps(action) for action in scrubbed).encode() + b"\n")
        _delete(uri, _checksum(path))


def _scrubbed(action: Mapping[str, Any]) -> dict[str, Any]:
    if "commitInfo" in action:
        return {"commitInfo": {**action["commitInfo"], "operationParameters": {}}}
    if "add" in action and action["add"].get("stats"):
        stats = {name: value for name, value in json.loads(action["add"]["stats"]).items() if name not in _RANGES}
        return {"add": {**action["add"], "stats": json.dumps(stats)}}
    return dict(action)


def _beside(uri: str, path: str) -> str:
    """The URI of a log file, whose path is one of the table's file system."""
    return f"{uri}/_delta_log/{PurePosixPath(path).name}"


def _checksum(path: str) -> str:
    return str(PurePosixPath(path).with_name(f".{PurePosixPath(path).name}.crc"))


def _delete(uri: str, path: str) -> None:
    system, _ = file_system(uri)
    for one in (path, _checksum(path)):
        if system.get_file_info(one).type == fs.FileType.File:
            system.delete_file(one)
