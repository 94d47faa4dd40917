"""The steps of an ingest that go by days: bronze from the deliveries, silver's events from bronze.

Each step replaces whole days, so doing it again gives the same tables. Tables that are replaced whole: `whole_tables`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import DAY, REJECTED
from data_contracts.errors import InputError
from data_contracts.night import NightParams
from spark_jobs.ingest import silver
from spark_jobs.ingest.bronze import bronze_rows, by_client
from spark_jobs.ingest.contents import Checked
from spark_jobs.ingest.corrections import Correction, compared
from spark_jobs.ingest.identity import Identities
from spark_jobs.ingest.sources import BY_NAME, Source
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.commits import newest_version, note_of_days
from spark_jobs.lake.tables import read_table, table_uri, write_table

BySource = Mapping[Source, Sequence[Checked]]


def by_source(checked: Iterable[Checked]) -> BySource:
    groups: dict[Source, list[Checked]] = defaultdict(list)
    for one in checked:
        groups[one.delivery.source].append(one)
    return groups


def days_of(checked: Iterable[Checked]) -> list[date]:
    return sorted({one.delivery.day for one in checked if one.delivery.day})


def enrol_clients(changed: BySource, people: Identities) -> int:
    """Give the clients of exports that are keyed by them their internal ids. Returns how many are new."""
    people.require_current_keys()
    return people.enrol(frame for source in changed for frame in by_client(people.spark, source, changed[source]))


def write_bronze(changed: BySource, params: NightParams, people: Identities) -> Mapping[str, int]:
    """Returns by source how many rows were left out as those of the erased; the rows themselves are kept nowhere.

    Raises InputError for a file that turns out broken inside.
    """

    def write(source: Source) -> int:
        rows = bronze_rows(source, changed[source], params, people)
        days = days_of(changed[source]) if source.is_dated else None
        try:
            rows, erased = people.without_erased(rows)
            write_table(rows, params.lake, source.table, partitions=days)
        except Exception as error:
            if broken := _of_a_file(error, source):
                raise broken from error
            raise
        return erased

    erased = at_once(*(partial(write, source) for source in changed))
    return {source.name: rows for source, rows in zip(changed, erased, strict=True) if rows}


def bronze_before(again: Iterable[Correction], params: NightParams) -> Mapping[tuple[Source, int], list[Correction]]:
    """Days delivered again, by their source and the version of its bronze table before they are replaced."""
    groups: dict[tuple[Source, int], list[Correction]] = defaultdict(list)
    for one in again:
        source = BY_NAME[one.source]
        groups[source, newest_version(table_uri(params.lake, source.table)) or 0].append(one)
    return groups


def corrections(
    spark: SparkSession, again: Mapping[tuple[Source, int], list[Correction]], params: NightParams
) -> list[Correction]:
    """What the new bronze rows of these days changed."""

    def compare(source: Source, version: int) -> list[Correction]:
        return list(compared(spark, params.lake, source, again[source, version], version=version))

    return [one for many in at_once(*(partial(compare, *key) for key in again)) for one in many]


def _of_a_file(error: Exception, source: Source) -> InputError | None:
    """Spark's error of reading as one about the file, where it names a delivered one."""
    file = re.search(r"(?:file|s3a?):/[^\s,]+\.(?:pq|parquet|avro)", str(error))
    if file is None or f"/{source.folder}" not in file[0]:
        return None
    promised = source.contract
    return InputError(f"{file[0]}: cannot be read (contract {promised.name} {promised.version}); deliver it again")


def write_days(spark: SparkSession, changed: BySource, params: NightParams) -> dict[str, int]:
    """The silver tables of events, for the days of which anything changed. Returns the version by table name."""
    steps = [partial(_write_interactions, spark, changed, params)]
    steps += [partial(_write_events, spark, changed, params, table) for table in silver.EVENT_TABLES]
    return {name: version for versions in at_once(*steps) for name, version in versions.items()}


def _write_interactions(spark: SparkSession, changed: BySource, params: NightParams) -> dict[str, int]:
    """From every source of behaviour, for the days of which any of them changed."""
    behaviour = {one.source for one in silver.BEHAVIOURS}
    days = days_of(one for source, many in changed.items() if source.name in behaviour for one in many)
    if not days:
        return {}
    bronze = {name: good_rows(spark, params.lake, name, days) for name in sorted(behaviour)}
    rows = sum(one.rows for source, many in changed.items() if source.name in behaviour for one in many)
    frame = silver.interactions(bronze, params, spark=spark, rows_a_day=rows // len(days))
    return {silver.INTERACTIONS: _replace(frame, params, silver.INTERACTIONS, days)}


def _write_events(spark: SparkSession, changed: BySource, params: NightParams, table: str) -> dict[str, int]:
    name = silver.EVENT_TABLES[table]
    days = days_of(changed.get(BY_NAME[name], ()))
    if not days:
        return {}
    frame = silver.events(good_rows(spark, params.lake, name, days), table)
    return {table: _replace(frame, params, table, days)}


def _replace(frame: DataFrame, params: NightParams, table: str, days: Sequence[date]) -> int:
    """Replace days of a table, and say which ones beside the commit: whoever adds up days asks for the first."""
    return write_table(frame, params.lake, table, partitions=days, made_from=note_of_days(days))


def good_rows(spark: SparkSession, lake: str, source: str, days: list[date] | None = None) -> DataFrame:
    """Rows of bronze that silver takes, of some days or of all."""
    rows = read_table(spark, lake, BY_NAME[source].table).where(F.col(REJECTED).isNull())
    return rows if days is None else rows.where(F.col(DAY).isin(days))
