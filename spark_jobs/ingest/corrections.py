"""What a delivery changed of days that the lake had already, or had gone past: rows before and after, day by day."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import DAY
from spark_jobs.ingest.contents import Checked
from spark_jobs.ingest.ledger import Ledger
from spark_jobs.ingest.sources import Source
from spark_jobs.lake.tables import table_uri

# Where the days of a source have more rows than this, before and after together, they are only counted.
MOST_COMPARED = 5_000_000
# Days of a source that have a warning each, most.
MOST_TOLD = 5


@dataclass(frozen=True)
class Correction:
    """Rows of a day of a source before and after. added, removed and changed (of a key that stayed): None where there
    were too many rows to compare.
    """

    source: str
    day: date
    before: int
    after: int
    added: int | None = None
    removed: int | None = None
    changed: int | None = None

    @property
    def is_none(self) -> bool:
        """Delivered again with the same rows."""
        return self.added == self.removed == self.changed == 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"day": self.day.isoformat()}

    def __str__(self) -> str:
        told = f"{self.source}: {self.day} "
        if not self.before:
            return told + f"came late, with {self.after} rows"
        told += f"was delivered again: {self.before} rows before, {self.after} now"
        if self.added is None:
            return told
        return told + f" ({self.added} added, {self.removed} removed, {self.changed} changed)"


def told(corrected: Iterable[Correction]) -> Iterator[str]:
    """A warning a day; one for all of them where there are many of a source."""
    by_source: dict[str, list[Correction]] = defaultdict(list)
    for one in corrected:
        if not one.is_none:
            by_source[one.source].append(one)
    for source, days in sorted(by_source.items()):
        if len(days) <= MOST_TOLD:
            yield from (str(one) for one in days)
            continue
        first, last = min(one.day for one in days), max(one.day for one in days)
        before, after = sum(one.before for one in days), sum(one.after for one in days)
        yield f"{source}: {len(days)} days from {first} to {last} came again or late: {before} rows before, {after} now"


def repeated(checked: Iterable[Checked], known: Ledger) -> Iterator[Correction]:
    """Days that were delivered before, or that are earlier than what was; not compared yet."""
    last: dict[str, date] = {}
    for source, day in known:
        if day:
            last[source] = max(day, last.get(source, day))
    for one in checked:
        name, day = one.delivery.key
        entry = known.get(one.delivery.key)
        if day and (entry is not None or (one.rows and day < last.get(name, day))):
            yield Correction(name, day, 0 if entry is None else entry.rows, one.rows)


def compared(
    spark: SparkSession, lake: str, source: Source, days: Sequence[Correction], *, version: int
) -> Iterator[Correction]:
    """The same with what differs between bronze's rows of these days now and at an earlier version."""
    rows = sum(one.before + one.after for one in days)
    small = [one for one in days if one.before and rows <= MOST_COMPARED]
    found = _differences(spark, table_uri(lake, source.table), source, [one.day for one in small], version=version)
    for one in days:
        if one in small:
            yield Correction(one.source, one.day, one.before, one.after, *found.get(one.day, (0, 0, 0)))
        else:
            yield one


def _differences(
    spark: SparkSession, uri: str, source: Source, days: Sequence[date], *, version: int
) -> Mapping[date, tuple[int, int, int]]:
    """Added, removed and changed rows by day, as multisets; a day without a difference may be absent."""
    if not days:
        return {}
    key = [name for name in source.contract.key if name != DAY] or list(source.contract.column_names)

    def rows(at: DataFrame, sign: int) -> DataFrame:
        hashes = {"key": F.xxhash64(*key), "row": F.xxhash64(*source.contract.column_names)}
        return at.where(F.col(DAY).isin(list(days))).select(
            DAY, *(value.alias(name) for name, value in hashes.items()), F.lit(sign).alias("sign")
        )

    reader = spark.read.format("delta")
    both = reduce(
        DataFrame.unionByName, (rows(reader.load(uri), 1), rows(reader.option("versionAsOf", version).load(uri), -1))
    )
    by_row = both.groupBy(DAY, "key", "row").agg(F.sum("sign").alias("more")).where("more <> 0")
    by_key = by_row.groupBy(DAY, "key").agg(
        F.sum(F.greatest("more", F.lit(0))).alias("added"), F.sum(F.greatest(-F.col("more"), F.lit(0))).alias("removed")
    )
    stayed = F.least("added", "removed")
    sums = (F.sum(F.col("added") - stayed), F.sum(F.col("removed") - stayed), F.sum(stayed))
    counted = by_key.groupBy(DAY).agg(*(value.alias(name) for name, value in zip("arc", sums, strict=True)))
    return {row[DAY]: (row["a"], row["r"], row["c"]) for row in counted.collect()}
