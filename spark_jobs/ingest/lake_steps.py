"""The steps of an ingest on the lake: which table is written from which, and for which days.

Bronze first, then silver from bronze, then quarantine; the ledger comes last and is the job's. Each step replaces
whole days (or whole tables), so doing it again gives the same tables.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import DAY
from data_contracts.errors import InputError
from data_contracts.night import NightParams
from data_contracts.vocabulary import Domain
from spark_jobs.ingest import silver
from spark_jobs.ingest.bronze import REJECTED, bronze_rows
from spark_jobs.ingest.contents import Checked
from spark_jobs.ingest.holdings import current_holdings
from spark_jobs.ingest.ledger import Ledger, latest_export
from spark_jobs.ingest.reference import Reference
from spark_jobs.ingest.sources import BY_NAME, Source
from spark_jobs.lake.tables import empty_table, read_table, write_table

# Delta commits are mostly waiting; a few side by side keep two cores busy.
_SIDE_BY_SIDE = 3

BySource = Mapping[Source, Sequence[Checked]]


def by_source(checked: Iterable[Checked]) -> BySource:
    groups: dict[Source, list[Checked]] = defaultdict(list)
    for one in checked:
        groups[one.delivery.source].append(one)
    return groups


def days_of(checked: Iterable[Checked]) -> list[date]:
    return sorted({one.delivery.day for one in checked if one.delivery.day})


def write_bronze(spark: SparkSession, changed: BySource, params: NightParams) -> None:
    """Raises InputError for a file that turns out broken inside."""

    def write(source: Source) -> None:
        rows = bronze_rows(spark, source, changed[source], params)
        days = days_of(changed[source]) if source.is_dated else None
        try:
            write_table(rows, params.lake, source.table, partitions=days)
        except Exception as error:
            if broken := _of_a_file(error, source):
                raise broken from error
            raise

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        list(threads.map(write, changed))


def _of_a_file(error: Exception, source: Source) -> InputError | None:
    """Spark's error of reading as one about the file, where it names a delivered one."""
    file = re.search(r"(?:file|s3a?):/[^\s,]+\.(?:pq|parquet|avro)", str(error))
    if file is None or f"/{source.folder}" not in file[0]:
        return None
    promised = source.contract
    return InputError(f"{file[0]}: cannot be read (contract {promised.name} {promised.version}); deliver it again")


def write_interactions(spark: SparkSession, changed: BySource, params: NightParams) -> dict[str, int]:
    """Days of which any behaviour changed, from every source of behaviour. Returns the version by table name."""
    behaviour = {one.source for one in silver.BEHAVIOURS}
    days = days_of(one for source, many in changed.items() if source.name in behaviour for one in many)
    if not days:
        return {}
    bronze = {name: _good(spark, params.lake, BY_NAME[name], days) for name in sorted(behaviour)}
    rows = sum(one.rows for source, many in changed.items() if source.name in behaviour for one in many)
    frame = silver.interactions(bronze, params, spark=spark, rows_a_day=rows // len(days))
    return {silver.INTERACTIONS: write_table(frame, params.lake, silver.INTERACTIONS, partitions=days)}


def write_events(spark: SparkSession, changed: BySource, params: NightParams) -> dict[str, int]:
    versions = {}
    for table, name in silver.EVENT_TABLES.items():
        days = days_of(changed.get(BY_NAME[name], ()))
        if days:
            frame = silver.events(_good(spark, params.lake, BY_NAME[name], days), table)
            versions[table] = write_table(frame, params.lake, table, partitions=days)
    return versions


def write_exports(spark: SparkSession, ledger: Ledger, params: NightParams) -> dict[str, int]:
    """Customers and aggregates as of the latest export; tables of exports that never came are not written."""
    versions = {}
    for table, transform in (("customers", silver.customers), ("aggregates", silver.aggregates)):
        day = latest_export(ledger, table, as_of=params.as_of)
        if day is not None:
            frame = transform(_good(spark, params.lake, BY_NAME[table], [day]))
            versions[f"silver.{table}"] = write_table(frame, params.lake, f"silver.{table}")
    return versions


def write_holdings(spark: SparkSession, ledger: Ledger, params: NightParams) -> dict[str, int]:
    day = latest_export(ledger, "holdings", as_of=params.as_of)
    events = read_table(spark, params.lake, "silver.product_events")
    exported = empty_table(spark, "silver.holdings")
    start = datetime.fromtimestamp(0, UTC)
    if day is not None:
        exported = silver.latest_holdings(_good(spark, params.lake, BY_NAME["holdings"], [day]))
        start = params.model_copy(update={"as_of": day}).cut_off
    frame = current_holdings(exported, events, start=start, end=params.cut_off)
    return {"silver.holdings": write_table(frame, params.lake, "silver.holdings")}


def write_whole(spark: SparkSession, changed: BySource, params: NightParams) -> dict[str, int]:
    """Items and people, when one of their files changed."""
    names = {source.name for source in changed}
    versions = {}
    domains = (Domain.MARKETPLACE, Domain.RETAIL, Domain.OFFERS)
    if names & {f"{domain}_items" for domain in domains}:
        bronze = {domain: _good(spark, params.lake, BY_NAME[f"{domain}_items"]) for domain in domains}
        versions["silver.items"] = write_table(silver.items(bronze), params.lake, "silver.items")
    if "users" in names:
        frame = silver.people(_good(spark, params.lake, BY_NAME["users"]))
        versions["silver.people"] = write_table(frame, params.lake, "silver.people")
    return versions


def write_reference(spark: SparkSession, reference: Reference, params: NightParams) -> dict[str, int]:
    versions = {}
    for name in ("catalogue", "rules", "reasons"):
        document = getattr(reference, name)
        frame = spark.createDataFrame(
            [(document.version, document.model_dump_json())], "version string, document string"
        )
        versions[f"silver.{name}"] = write_table(frame, params.lake, f"silver.{name}")
    return versions


def _good(spark: SparkSession, lake: str, source: Source, days: list[date] | None = None) -> DataFrame:
    """Rows of bronze that silver takes, of some days or of all."""
    rows = read_table(spark, lake, source.table).where(F.col(REJECTED).isNull())
    return rows if days is None else rows.where(F.col(DAY).isin(days))
