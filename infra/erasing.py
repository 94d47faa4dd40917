"""A person out of every layer, and a receipt that says what was found where and how it was seen to be gone.

First the erasure is registered, so that no later ingest brings the person back; then each store is emptied of them and
read again. Everything is safe to repeat: what was killed half-way is simply run again.
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from api.events_out import outbox_path
from api.opted_out import CHANNELS, OptedOut, derived_key, opted_out_path, user_hash
from api.outbox import Outbox
from api.sinks import EXPOSURES, FEEDBACK
from dagster_project.lake_lock import lake_lock
from data_contracts.events.schemas import TOPICS
from data_contracts.identity import KeyChain
from data_contracts.manifest import Erasure, Manifest
from data_contracts.settings import Settings
from infra.stack import clickhouse
from spark_jobs.ingest.identity import Identities, register_erased, rotate
from spark_jobs.lake import erased_files as files
from spark_jobs.lake.erasure import delta_tables, erase_person, find_person, forget_history
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.session import spark_session
from spark_jobs.lake.snapshot_files import snapshot_uris
from spark_jobs.lake.tables import table_exists, table_uri
from spark_jobs.landing.erase_topics import erase_from_topics
from sql.client import Address, connected
from sql.erase import erase_user
from sql.migrate import migrate


@dataclass(frozen=True)
class Line:
    """One store: traces found before, and left after, in its own units; None where nothing can be counted."""

    store: str
    found: int | None
    left: int | None
    verified: str


_KAFKA_LEFT = Line(
    f"Kafka {', '.join(TOPICS)}", None, None, "until the topics' retention passes, or by --kafka; never ingested again"
)


@dataclass(frozen=True)
class Receipt:
    """`person`: their keyed hash, the only way in which the id is told."""

    person: str
    erased_at: datetime
    lines: tuple[Line, ...]

    @property
    def is_complete(self) -> bool:
        return not any(line.left for line in self.lines)


def erase_everywhere(settings: Settings, user_id: int, *, with_kafka: bool = False) -> Receipt:
    """Raises BusyError while a night runs on this lake, UnavailableError without ClickHouse, or Kafka if asked for."""
    with (
        lake_lock(settings.lake_uri),
        clickhouse(settings) as wired,
        spark_for(wired, "recs erase") as spark,
    ):
        return erase_with(spark, wired, user_id, with_kafka=with_kafka)


def erase_with(spark: SparkSession, settings: Settings, user_id: int, *, with_kafka: bool = False) -> Receipt:
    """The same by somebody who holds the lake and has ClickHouse running. The receipt is kept with the reports."""
    lake, now = settings.lake_uri, datetime.now(UTC)
    people = Identities(spark, lake, KeyChain.of(settings))
    people.require_current_keys()
    person = register_erased(people, user_id, on=now.date()).hex()
    lines = (
        # First, so that what was on its way out of them is found where it went.
        *_outboxes(settings, user_id),
        *_delta(spark, lake, user_id),
        *(_topics(settings, user_id) if with_kafka else [_KAFKA_LEFT]),
        *_landed(settings, user_id),
        *_snapshots(settings, user_id, Erasure(receipt=person, at=now)),
        # After ClickHouse, from which a service makes it anew.
        _opted_out(settings, user_id),
        _documents(lake, user_id),
        _campaigns(lake, user_id),
        *_elsewhere(settings),
    )
    receipt = Receipt(person, now, lines)
    document = json.dumps(asdict(receipt), default=str, indent=1)
    write_bytes(f"{lake}/reports/erasures/{person[:16]}-{now:%Y%m%dT%H%M%S}.json", document.encode())
    return receipt


def _outboxes(settings: Settings, user_id: int) -> Iterator[Line]:
    for topic in (FEEDBACK, EXPOSURES):
        path = outbox_path(settings, topic)
        if not path.exists():
            yield Line(f"outbox {path.stem}", None, None, "none on this machine; others' empty themselves")
            continue
        with closing(Outbox(path, most=0, is_durable=True)) as outbox:
            found = outbox.rows_of(user_id)
            outbox.erase_user(user_id)
            yield Line(
                f"outbox {path.stem}", found, outbox.rows_of(user_id), "its tables read again, free pages zeroed"
            )


def _opted_out(settings: Settings, user_id: int) -> Line:
    """The service's copy holds 32 bits of a keyed hash; it is also read anew every minute, from what is left then."""
    path = opted_out_path(settings.data_dir)
    kept, key = OptedOut.load(path), derived_key(settings.signing_key)
    hashed = user_hash(key, user_id)
    found = sum(kept.includes(hashed, channel) for channel in CHANNELS)
    if found:
        kept.without(hashed).save(path)
    left = sum(OptedOut.load(path).includes(hashed, channel) for channel in CHANNELS)
    return Line("copy of who opted out", found, left, "read again")


def _delta(spark: SparkSession, lake: str, user_id: int) -> Iterator[Line]:
    found = find_person(spark, lake, user_id)
    erase_person(spark, lake, found, user_id)
    left = find_person(spark, lake, user_id) if found else {}
    for table, traces in found.items():
        still = left.get(table)
        remains = still.rows + still.log_entries if still else 0
        yield Line(table, traces.rows + traces.log_entries, remains, "all files of all versions and the log read again")
    others = len(delta_tables(lake)) - len(found)
    yield Line(f"{others} other Delta tables", 0, 0, "all files of all versions and the log read")


def _topics(settings: Settings, user_id: int) -> Iterator[Line]:
    for one in erase_from_topics(settings, user_id):
        yield Line(f"Kafka {one.topic}", one.found, one.left, "emptied of what has landed, read again")


def _landed(settings: Settings, user_id: int) -> Iterator[Line]:
    """Events as `recs land` left them: landed, staged, or refused for their time; and those that the settings name."""
    lake = settings.lake_uri
    for name, uri in {
        "landed events": f"{lake}/landing",
        "landed events refused": f"{lake}/quarantine/landing",
        **({"events of RECS_EVENTS": settings.events} if settings.events else {}),
    }.items():
        found = files.erase_landed(uri, user_id)
        left = files.landed_rows(uri, user_id) if found else 0
        yield Line(name, found, left, "every Avro file read again")


def _snapshots(settings: Settings, user_id: int, note: Erasure) -> Iterator[Line]:
    """The folders first, since ClickHouse is verified against their new manifests."""
    manifests: dict[str, Manifest] = {}
    for uri in snapshot_uris(settings.lake_uri):
        found = files.rows_in_snapshot(uri, user_id)
        manifest = files.erase_from_snapshot(uri, user_id, receipt=note.receipt, at=note.at)
        if manifest is not None:
            manifests[manifest.snapshot_id] = manifest
        left = files.rows_in_snapshot(uri, user_id) if found else 0
        yield Line(f"snapshot {uri.rpartition('/')[2]}", found, left, "Parquet read again, manifest made anew")
    migrate(Address.of(settings))
    with connected(Address.of(settings)) as store:
        erased = erase_user(store, user_id, manifests=manifests, note=note)
    for table, rows in erased.before.items():
        yield Line(f"ClickHouse {table}", rows, erased.after[table], "counted again, checksums as in the manifests")


def _campaigns(lake: str, user_id: int) -> Line:
    found = files.erase_from_folder(f"{lake}/campaigns", user_id)
    left = files.erase_from_folder(f"{lake}/campaigns", user_id) if found else 0
    return Line("assignments to campaigns", found, left, "every Parquet file read again")


def _documents(lake: str, user_id: int) -> Line:
    found = files.erase_from_documents(lake, user_id)
    left = files.erase_from_documents(lake, user_id) if found else 0
    return Line("reports and validations", found, left, "every JSON document read again")


def _elsewhere(settings: Settings) -> Iterator[Line]:
    """What cannot be counted from here, and what is to be done about it."""
    yield Line(f"exports of lists ({settings.exports_uri})", None, None, "handed over: delete those written before")
    yield Line(f"backups ({settings.backups_uri})", None, None, "until they expire; after a restore, erase again")
    yield Line("models", None, None, "hold items and weights, no people: retrained by the next night")
    for name in ("tecd", "dwh"):
        if uri := getattr(settings, name):
            yield Line(f"source {name} ({uri})", None, None, "not ours: to be delivered again without the person")


@contextmanager
def spark_for(settings: Settings, name: str) -> Iterator[SparkSession]:
    with _output_is_errors():
        session = spark_session(
            name,
            master=settings.spark_master,
            driver_memory=settings.spark_driver_memory,
            java_options=settings.spark_java_options,
        )
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def _output_is_errors() -> Iterator[None]:
    """What is started within writes its standard output to standard error: Delta's vacuum prints there."""
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)


def rotate_keys(settings: Settings) -> dict[str, int]:
    """Hash again what is kept under earlier keys; the old hashes leave history too. Returns rows rewritten by table.

    Raises InputError for keys that do not continue the lake's, BusyError while a night runs on it.
    """
    with lake_lock(settings.lake_uri), spark_for(settings, "recs identity rotate") as spark:
        rewritten = rotate(Identities(spark, settings.lake_uri, KeyChain.of(settings)))
        for table in rewritten:
            if table_exists(settings.lake_uri, table):
                forget_history(spark, table_uri(settings.lake_uri, table))
        return rewritten
