"""Silver tables that a night replaces whole: holdings, items, people and the reference documents.

Each carries a fingerprint of what it is made from, and is left alone while that is the same. Code is no part of it: a
change that makes other rows of the same deliveries raises the version of the table's contract.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from data_contracts.night import NightParams
from data_contracts.tables import contract
from data_contracts.vocabulary import Domain
from spark_jobs.ingest import silver
from spark_jobs.ingest.holdings import current_holdings
from spark_jobs.ingest.lake_steps import good_rows
from spark_jobs.ingest.ledger import Ledger, latest_export
from spark_jobs.ingest.reference import Reference
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.commits import last_write, newest_version
from spark_jobs.lake.tables import empty_table, read_table, table_uri, write_table

_ITEM_DOMAINS = (Domain.MARKETPLACE, Domain.RETAIL, Domain.OFFERS)


@dataclass(frozen=True)
class WholeTable:
    """`made_from`: texts that change when what the table is made from does."""

    name: str
    made_from: tuple[str, ...]
    make: Callable[[], DataFrame]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256("\n".join((contract(self.name).version, *self.made_from)).encode()).hexdigest()


def write_whole_tables(
    spark: SparkSession, ledger: Ledger, reference: Reference | None, params: NightParams
) -> dict[str, int]:
    """Returns the version by table name, written now or before. What no source was ever delivered for is not made."""

    def write(table: WholeTable) -> int:
        uri = table_uri(params.lake, table.name)
        written = last_write(uri)
        if written is not None and written.note == table.fingerprint:
            return newest_version(uri) or 0
        return write_table(table.make(), params.lake, table.name, made_from=table.fingerprint)

    tables = [*_held(spark, ledger, params), *_partners(spark, ledger, params), *_documents(spark, reference)]
    versions = at_once(*(partial(write, table) for table in tables))
    return {table.name: version for table, version in zip(tables, versions, strict=True)}


def _held(spark: SparkSession, ledger: Ledger, params: NightParams) -> Iterator[WholeTable]:
    day = latest_export(ledger, "holdings", as_of=params.as_of)
    known = [ledger["holdings", day].fingerprint] if day else []
    events = [
        f"{entry.day} {entry.fingerprint}"
        for entry in ledger.values()
        if entry.source == "product_events" and entry.day and (day or date.min) <= entry.day < params.as_of
    ]
    if known or events:
        yield WholeTable("silver.holdings", (*known, *sorted(events)), partial(_holdings, spark, params, day))


def _holdings(spark: SparkSession, params: NightParams, day: date | None) -> DataFrame:
    events = read_table(spark, params.lake, "silver.product_events")
    if day is None:
        nothing = empty_table(spark, "silver.holdings")
        return current_holdings(nothing, events, start=datetime.fromtimestamp(0, UTC), end=params.cut_off)
    exported = silver.latest_holdings(good_rows(spark, params.lake, "holdings", [day]))
    start = params.model_copy(update={"as_of": day}).cut_off
    return current_holdings(exported, events, start=start, end=params.cut_off)


def _partners(spark: SparkSession, ledger: Ledger, params: NightParams) -> Iterator[WholeTable]:
    """Items, brands and people of T-ECD."""
    sources = {domain: f"{domain}_items" for domain in _ITEM_DOMAINS}
    items = [ledger[source, None].fingerprint for source in sources.values() if (source, None) in ledger]
    if items:
        yield WholeTable(
            "silver.items",
            tuple(items),
            lambda: silver.items({domain: good_rows(spark, params.lake, name) for domain, name in sources.items()}),
        )
    for table, source, transform in (
        ("silver.people", "users", silver.people),
        ("silver.brands", "brands", silver.brands),
    ):
        if (source, None) in ledger:
            make = partial(_of_source, spark, params, source, transform)
            yield WholeTable(table, (ledger[source, None].fingerprint,), make)


def _of_source(
    spark: SparkSession, params: NightParams, source: str, transform: Callable[[DataFrame], DataFrame]
) -> DataFrame:
    return transform(good_rows(spark, params.lake, source))


def _documents(spark: SparkSession, reference: Reference | None) -> Iterator[WholeTable]:
    if reference is None:
        return
    for name in ("catalogue", "rules", "reasons"):
        document = getattr(reference, name)
        rows = [(document.version, document.model_dump_json())]
        make = partial(spark.createDataFrame, rows, contract(f"silver.{name}").ddl)
        yield WholeTable(f"silver.{name}", rows[0], make)
