"""A person is in every store before `recs erase`, and in none after: each store is read with its own reader."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from api.events_out import outbox_path
from api.opted_out import OptedOut, derived_key, opted_out_path, user_hash
from api.outbox import Entry, Key, Outbox
from api.sinks import FEEDBACK
from dagster_project.lake_lock import lake_lock
from data_contracts.errors import BusyError, InputError
from data_contracts.manifest import Manifest
from data_contracts.settings import Settings
from data_contracts.tables import Pii, contract, table_names
from data_contracts.vocabulary import Channel
from infra.cli import app
from infra.erasing import Receipt, erase_everywhere, erase_with
from infra.local.clickhouse.testing import clickhouse_url
from spark_jobs.lake.commits import changed_days, newest_version
from sql.client import Address, connected
from sql.erase import PEOPLE_TABLES, rows_of
from sql.gated import load_verified
from sql.migrate import migrate
from sql.states import State, state_of
from tests.spark.ingest_samples import AS_OF, Deliveries
from tests.sql.snapshots import write_manifest, write_snapshot

__all__ = ["clickhouse_url"]

PERSON = 7_234_567_890_123_456_789
SNAPSHOT = "2026-03-16.1"
DAY = AS_OF - timedelta(days=1)


@dataclass(frozen=True)
class Installation:
    """A lake, its landed events and a ClickHouse, with one person among others in each."""

    spark: SparkSession
    settings: Settings
    events: Path

    @property
    def lake(self) -> Path:
        return Path(self.settings.lake_uri)

    def in_files(self) -> set[str]:
        """Files that tell the person's id, by what they decode to."""
        files = [
            path
            for root in (self.lake, self.events, self.settings.data_dir / "api")
            for path in root.rglob("*")
            if path.is_file()
        ]
        return {str(path.relative_to(self.settings.data_dir)) for path in files if _tells(path)}

    def in_clickhouse(self) -> dict[str, int]:
        with connected(Address.of(self.settings)) as store:
            return {table: rows for table, rows in rows_of(store, PERSON).items() if rows}

    def users(self, table: str) -> set[int]:
        frame = self.spark.read.format("delta").load(f"{self.lake}/{table}")
        return {row[0] for row in frame.select("user_id").collect()}

    def erase(self) -> Receipt:
        return erase_with(self.spark, self.settings, PERSON)


@dataclass(frozen=True)
class Erased:
    """What an installation was before, and the receipt of its erasure."""

    now: Installation
    files: set[str]
    rows: dict[str, int]
    version: int
    receipt: Receipt


@pytest.fixture(scope="module")
def erased(spark: SparkSession, clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erased]:
    root = tmp_path_factory.mktemp("erasure")
    settings = Settings(
        data_dir=root, clickhouse_url=clickhouse_url, clickhouse_database="erasure", events=str(root / "events")
    )
    here = Installation(spark, settings, root / "events")
    _fill_tables(here)
    _fill_files(here, root)
    outbox = _fill_outbox(settings)  # of a service that runs meanwhile
    before = here.in_files(), here.in_clickhouse(), newest_version(f"{here.lake}/silver/interactions") or 0
    yield Erased(here, *before, here.erase())
    outbox.close()


def _fill_tables(here: Installation) -> None:
    """Delta tables that hold the person now, only in an old version, only as a rejected row, and in statistics."""
    spark = here.spark

    def write(table: str, rows: list[tuple[object, ...]], schema: str, mode: str = "append") -> None:
        frame = spark.createDataFrame(rows, schema).coalesce(1)
        frame.write.format("delta").mode(mode).partitionBy("day").save(f"{here.lake}/{table}")

    events = "user_id bigint, item_id string, day date"
    write("silver/interactions", [(5, "a", DAY), (PERSON, "b", DAY), (6, "a", AS_OF)], events)
    write("silver/customers", [(5, "a", DAY), (PERSON, "b", DAY)], events)
    write("silver/customers", [(5, "a", DAY)], events, mode="overwrite")
    row = json.dumps({"timestamp": 1, "user_id": PERSON}, separators=(",", ":"))
    write("quarantine/retail_events", [("bad", row, DAY), ("bad", "{}", DAY)], "reason string, row string, day date")
    write("bronze/deliveries", [("retail", DAY)], "source string, day date")
    # As a killed erasure leaves a table: the rows are gone, its history and the predicate are not.
    write("gold/user_vectors", [(5, "a", DAY), (PERSON, "b", DAY)], events)
    DeltaTable.forPath(spark, f"{here.lake}/gold/user_vectors").delete(f"user_id = {PERSON}")


def _fill_files(here: Installation, root: Path) -> None:
    """A snapshot, landed events, a kept validation, and the snapshot in ClickHouse."""
    Deliveries(root).avro(
        "bank.transactions",
        DAY,
        [{"event_id": str(user), "event_time": 9, "user_id": user, "amount": 1.0} for user in (5, PERSON, PERSON)],
    )
    refused = here.lake / "quarantine" / "landing" / "bank.transactions" / f"{DAY}" / "07" / "00000-0-a.avro"
    refused.parent.mkdir(parents=True)
    (landed,) = here.events.rglob("*.avro")
    with landed.open("rb") as stream:
        reader = fastavro.reader(stream)
        rows = list(reader)[:2]
    with refused.open("wb") as sink:
        fastavro.writer(sink, reader.writer_schema, rows)
    folder = here.lake / "snapshots" / SNAPSHOT
    write_snapshot(folder, snapshot_id=SNAPSHOT, users=40)
    for path in [path for table in PEOPLE_TABLES for path in folder.glob(f"{table}/*")]:
        rows = pq.read_table(path)
        renamed = pc.if_else(pc.equal(rows["user_id"], 11), PERSON, rows["user_id"])
        pq.write_table(rows.set_column(rows.schema.get_field_index("user_id"), "user_id", renamed), path)
    write_manifest(folder, snapshot_id=SNAPSHOT)
    assigned = here.lake / "campaigns" / f"{AS_OF}" / SNAPSHOT / "loans.parquet"
    assigned.parent.mkdir(parents=True)
    pq.write_table(pa.table({"user_id": [5, PERSON]}), assigned)
    validation = here.lake / "validations" / "silver.customers" / "3.json"
    validation.parent.mkdir(parents=True)
    validation.write_text(json.dumps({"partial_unexpected_list": [5, PERSON], "note": f"such as {PERSON}"}))
    address = Address.of(here.settings)
    migrate(address)
    with connected(address) as store:
        load_verified(store, snapshot_uri=str(folder))


def _fill_outbox(settings: Settings) -> Outbox:
    """Feedback that waits and that was refused, and its keys."""
    outbox = Outbox(outbox_path(settings, FEEDBACK), most=100, is_durable=True)
    outbox.put(
        [
            Entry(f"{user}-{number}", b'{"user_id":%d,"n":%d}' % (user, number), Key(f"k-{user}-{number}", user))
            for user in (5, PERSON)
            for number in (1, 2)
        ]
    )
    hashes = [user_hash(derived_key(b"development-only"), user) for user in (5, PERSON)]
    OptedOut.of({Channel.MOBILE: np.array(hashes, np.uint32), Channel.WEB: np.array(hashes[:1], np.uint32)}).save(
        opted_out_path(settings.data_dir)
    )
    outbox.set_aside(outbox.first(4)[2], "does not fit")
    return outbox


def _tells(path: Path) -> bool:
    text = path.read_bytes().decode("latin-1")
    if path.suffix == ".sqlite3":
        with closing(sqlite3.connect(path)) as database:
            text += "\n".join(database.iterdump())
    elif path.suffix == ".parquet":
        file = pq.ParquetFile(path)
        groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
        stats = [group.column(n).statistics for group in groups for n in range(group.num_columns)]
        text = str(file.read().to_pydict()) + str([(one.min, one.max) for one in stats if one and one.has_min_max])
    elif path.suffix == ".avro":
        with path.open("rb") as stream:
            text = str(list(fastavro.reader(stream)))
    return re.search(rf"(?<!\d){PERSON}(?!\d)", text) is not None


def test_before_the_person_is_in_every_store(erased: Erased) -> None:
    stores = {"/".join(path.split("/")[:3]) for path in erased.files}
    assert stores == {
        "lake/silver/interactions",
        "lake/silver/customers",
        "lake/quarantine/retail_events",
        "lake/quarantine/landing",
        "lake/gold/user_vectors",
        f"lake/snapshots/{SNAPSHOT}",
        "lake/validations/silver.customers",
        f"lake/campaigns/{AS_OF}",
        "events/bank.transactions/2026-03-15",
        "api/feedback.sqlite3",
        "api/feedback.sqlite3-wal",
    }
    assert any("_delta_log" in path for path in erased.files)
    assert erased.rows == {"audience_pool": 1, "lists": 1, "user_rows": 1, "user_state": 1}


def test_after_the_person_is_in_none(erased: Erased) -> None:
    assert erased.now.in_files() == set()
    assert erased.now.in_clickhouse() == {}
    assert erased.receipt.is_complete


def test_everybody_else_stays(erased: Erased) -> None:
    assert erased.now.users("silver/interactions") == {5, 6}
    assert erased.now.users("silver/customers") == {5}
    assert erased.now.users("gold/user_vectors") == {5}
    with closing(Outbox(outbox_path(erased.now.settings, FEEDBACK), most=100, is_durable=True)) as outbox:
        assert outbox.rows_of(5) == 4
    assert pq.read_table(erased.now.lake / "snapshots" / SNAPSHOT / "lists").num_rows == 39
    (path,) = erased.now.events.rglob("*.avro")
    with path.open("rb") as stream:
        assert [record["user_id"] for record in fastavro.reader(stream)] == [5]


def test_the_snapshot_is_remanifested_and_still_verified(erased: Erased) -> None:
    text = (erased.now.lake / "snapshots" / SNAPSHOT / "manifest.json").read_text()
    manifest = Manifest.from_json(text)
    assert manifest.tables["lists"].rows == 39
    assert [erasure.receipt for erasure in manifest.erasures] == [erased.receipt.person]
    with connected(Address.of(erased.now.settings)) as store:
        assert state_of(store, SNAPSHOT) is State.VERIFIED
        load_verified(store, snapshot_uri=str(erased.now.lake / "snapshots" / SNAPSHOT))


def test_the_receipt_says_what_was_found_and_names_nobody(erased: Erased) -> None:
    found = {line.store: line.found for line in erased.receipt.lines}
    assert found["silver/interactions"] == 2  # a row, and the range of its file in the log
    assert found["events of RECS_EVENTS"] == 2
    assert found["landed events refused"] == 1
    assert found["ClickHouse lists"] == 1
    assert found["assignments to campaigns"] == 1
    assert found["outbox feedback"] == 4
    assert found["outbox exposures"] is None
    assert found["copy of who opted out"] == 1
    assert str(PERSON) not in str(erased.receipt)
    (kept,) = (erased.now.lake / "reports" / "erasures").glob("*.json")
    assert json.loads(kept.read_text())["person"] == erased.receipt.person


def test_an_erasure_changes_no_day_for_those_who_add_up_days(erased: Erased) -> None:
    uri = f"{erased.now.lake}/silver/interactions"
    assert (newest_version(uri) or 0) > erased.version
    assert changed_days(uri, after=erased.version) == ()


def test_a_second_erasure_finds_nothing(erased: Erased) -> None:
    again = erased.now.erase()
    assert not any(line.found for line in again.lines)
    assert again.person == erased.receipt.person
    manifest = Manifest.from_json((erased.now.lake / "snapshots" / SNAPSHOT / "manifest.json").read_text())
    assert len(manifest.erasures) == 1


def test_a_table_can_be_written_after_its_history_was_forgotten(erased: Erased) -> None:
    rows = erased.now.spark.createDataFrame([(8, "a", DAY)], "user_id bigint, item_id string, day date")
    rows.write.format("delta").mode("append").partitionBy("day").save(f"{erased.now.lake}/silver/interactions")
    assert erased.now.users("silver/interactions") == {5, 6, 8}


def test_an_erasure_waits_for_no_night(erased: Erased) -> None:
    with lake_lock(str(erased.now.lake)), pytest.raises(BusyError, match="another night is running"):
        erase_everywhere(erased.now.settings, PERSON)


@pytest.mark.parametrize("user", ["", "-1", "anna@example.com", "٣", str(2**63)])
def test_what_is_no_user_id_is_refused_and_not_repeated(user: str) -> None:
    ended = CliRunner().invoke(app, ["erase", "--user", user, "--yes"])
    assert isinstance(ended.exception, InputError)
    assert "whole number" in str(ended.exception)
    assert not user or user not in str(ended.exception).replace("2^63", "")


@pytest.mark.parametrize("name", table_names())
def test_internal_ids_are_in_columns_that_the_erasure_looks_at(name: str) -> None:
    assert {column.name for column in contract(name).columns if column.pii is Pii.INTERNAL_ID} <= {"user_id"}
