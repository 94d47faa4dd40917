"""The lake's memory of deliveries, `bronze.deliveries`: written last, so a killed ingest is simply done again."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import date

from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from data_contracts.night import NightParams
from data_contracts.tables import contract
from spark_jobs.ingest.deliveries import Delivery
from spark_jobs.ingest.sources import BY_NAME
from spark_jobs.lake.tables import read_table, write_table

DELIVERIES = "bronze.deliveries"
Key = tuple[str, date | None]


@dataclass(frozen=True)
class Entry:
    source: str
    day: date | None
    fingerprint: str
    rows: int
    quarantined: int

    @property
    def key(self) -> Key:
        return self.source, self.day


Ledger = Mapping[Key, Entry]


def read_ledger(spark: SparkSession, lake: str) -> Ledger:
    rows = read_table(spark, lake, DELIVERIES).collect()
    return {entry.key: entry for entry in (Entry(*row) for row in rows)}


def write_ledger(spark: SparkSession, lake: str, ledger: Ledger) -> int:
    """Returns the Delta version written."""
    entries = sorted(ledger.values(), key=lambda entry: (entry.source, entry.day or date.min))
    frame = spark.createDataFrame([astuple(entry) for entry in entries], contract(DELIVERIES).ddl)
    return write_table(frame.coalesce(1), lake, DELIVERIES)


def new_deliveries(found: Iterable[Delivery], ledger: Ledger) -> list[Delivery]:
    """What the lake has not seen, or has seen otherwise."""
    seen = {key: entry.fingerprint for key, entry in ledger.items()}
    return [delivery for delivery in found if seen.get(delivery.key) != delivery.fingerprint]


def latest_export(ledger: Ledger, source: str, *, as_of: date) -> date | None:
    """The day of the last export that is not empty, up to the as-of."""
    days = [entry.day for entry in ledger.values() if entry.source == source and entry.rows > entry.quarantined]
    return max((day for day in days if day and day <= as_of), default=None)


def require_known_folders(found: Iterable[Delivery], ledger: Ledger, params: NightParams) -> None:
    """A source that has delivered before must still have a folder. Raises InputError."""
    present = {delivery.source.name for delivery in found}
    for name in sorted({source for source, _ in ledger} - present):
        source = BY_NAME.get(name)
        if source is not None and (root := source.root(params)):
            raise InputError(
                f"{root.rstrip('/')}/{source.folder}: missing or empty, but {source.table} was filled from such a "
                "source before; deliver it again, or name the right folder"
            )
