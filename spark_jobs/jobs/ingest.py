"""Job `ingest`: what the sources delivered for days before the as-of, into bronze and silver."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

from pyspark.sql import SparkSession

from data_contracts.identity import KeyChain
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from spark_jobs.ingest import lake_steps as steps
from spark_jobs.ingest.contents import Checked, check_deliveries, drifted
from spark_jobs.ingest.corrections import repeated, told
from spark_jobs.ingest.deliveries import missing_days
from spark_jobs.ingest.given import look
from spark_jobs.ingest.histories import write_histories
from spark_jobs.ingest.identity import Identities
from spark_jobs.ingest.ledger import (
    DELIVERIES,
    Entry,
    Key,
    Ledger,
    new_deliveries,
    read_ledger,
    require_known_folders,
    write_ledger,
)
from spark_jobs.ingest.lineage import FED_BY, fingerprint, rejected_for, rows_read
from spark_jobs.ingest.pii_scan import personal_looking
from spark_jobs.ingest.quarantine import quarantine
from spark_jobs.ingest.whole_tables import write_whole_tables
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.commits import last_write
from spark_jobs.lake.migrations import migrate
from spark_jobs.lake.tables import rows_written, table_uri


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """Everything is checked before anything is written; the ledger is written last."""
    given = look(params)
    found, reference = given.deliveries, given.reference
    migrate(spark, params.lake)
    people = Identities(spark, params.lake, KeyChain.of(Settings()))
    known = read_ledger(spark, params.lake)
    require_known_folders(found, known, params)
    checked = check_deliveries(new_deliveries(found, known))
    changed = steps.by_source(checked)
    personal = personal_looking(checked)
    again = steps.bronze_before(repeated(checked, known), params)

    clients = steps.enrol_clients(changed, people)
    erased = steps.write_bronze(changed, params, people)
    corrected = steps.corrections(spark, again, params)
    days = {source: steps.days_of(many) for source, many in changed.items()}
    rejected = quarantine(spark, params.lake, days)
    ledger = {**known, **{entry.key: entry for entry in _entries(checked, rejected)}}
    versions = steps.write_days(spark, changed, params)
    versions |= write_histories(spark, ledger, params)
    versions |= write_whole_tables(spark, ledger, reference, params)
    if checked:
        versions[DELIVERIES] = write_ledger(spark, params.lake, ledger)
    details = {"erased": erased, "new_clients": clients, "corrected": [one.as_json() for one in corrected]}
    return JobReport(
        tables=_tables(params, versions, ledger, checked, rejected, details=details),
        warnings=(
            *missing_days(found, params),
            *_empty_days(checked),
            *drifted(checked),
            *told(corrected),
            *_rejections(rejected),
            *personal,
        ),
    )


def _entries(checked: Iterable[Checked], rejected: Mapping[Key, Counter[str]]) -> Iterator[Entry]:
    for one in checked:
        name, day = one.delivery.key
        bad = rejected.get(one.delivery.key, Counter())
        yield Entry(name, day, one.delivery.fingerprint, one.rows, bad.total())


def _tables(
    params: NightParams,
    versions: Mapping[str, int],
    ledger: Ledger,
    checked: Sequence[Checked],
    rejected: Mapping[Key, Counter[str]],
    *,
    details: Mapping[str, Any],
) -> dict[str, TableReport]:
    of = partial(_table, params=params, ledger=ledger, checked=checked, rejected=rejected)
    tables = {name: of(name, version=versions.get(name)) for name in {*FED_BY, *versions}}
    return {**tables, DELIVERIES: replace(tables[DELIVERIES], details={**_by_source(checked), **details})}


def _table(
    name: str,
    *,
    params: NightParams,
    version: int | None,
    ledger: Ledger,
    checked: Sequence[Checked],
    rejected: Mapping[Key, Counter[str]],
) -> TableReport:
    """A table that nothing new was delivered for was not written: no rows, and the fingerprint it had before."""
    rows = rows_written(params.lake, name) if version is not None else 0
    if name not in FED_BY:  # reference documents, made whole from what their fingerprint is about
        commit = last_write(table_uri(params.lake, name))
        return TableReport(rows, version=version, fingerprint=commit.note if commit else None)
    reasons = rejected_for(name, rejected)
    return TableReport(
        rows,
        read=rows_read(name, checked),
        quarantined=reasons.total(),
        reasons=dict(reasons),
        version=version,
        fingerprint=fingerprint(name, ledger, as_of=params.as_of),
    )


def _by_source(checked: Iterable[Checked]) -> dict[str, Any]:
    read: Counter[str] = Counter()
    for one in checked:
        read[one.delivery.source.name] += one.rows
    return {"read_by_source": dict(read), "deliveries": sum(1 for _ in checked)}


def _empty_days(checked: Iterable[Checked]) -> Iterator[str]:
    empty = [one.delivery.key for one in checked if not one.rows]
    for name, keys in groupby(empty, key=lambda key: key[0]):
        yield f"{name}: no rows in {', '.join(str(day) if day else 'the file' for _, day in keys)}"


def _rejections(rejected: Mapping[Key, Counter[str]]) -> Iterator[str]:
    by_source: dict[str, Counter[str]] = {}
    for (name, _), reasons in rejected.items():
        by_source.setdefault(name, Counter()).update(reasons)
    for name, reasons in sorted(by_source.items()):
        told = ", ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items()))
        yield f"{name}: {reasons.total()} rows in quarantine: {told}"


if __name__ == "__main__":
    main(run)
