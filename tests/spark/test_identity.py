"""Client ids at ingest: everybody keeps one random internal id, the outside id is nowhere, the erased do not return."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from data_contracts.identity import BUCKETS, IdKind, KeyChain
from data_contracts.settings import Settings
from spark_jobs.ingest.identity import CROSSWALK, ERASURES, Identities, register_erased, rotate
from spark_jobs.jobs.ingest import run
from spark_jobs.jobs.runner import JobReport
from spark_jobs.lake.erasure import forget_history
from tests.spark.ingest_samples import AS_OF, Deliveries, TableRows

CLIENTS = ("client-0001", "client-0002", "client-0003")
TOO_LONG = "x" * 200
YESTERDAY = AS_OF - timedelta(days=1)


@dataclass(frozen=True)
class Bank:
    """A lake whose exports are keyed by client id."""

    spark: SparkSession
    deliveries: Deliveries

    @property
    def lake(self) -> str:
        return self.deliveries.params().lake

    @cached_property
    def tables(self) -> TableRows:
        return TableRows(self.spark, self.lake)

    @property
    def people(self) -> Identities:
        return Identities(self.spark, self.lake, KeyChain.of(Settings()))

    def export(self, day: date, clients: Sequence[str | None]) -> Path:
        """An export of customers by client id."""
        path = self.deliveries.customers(day, range(len(clients)))
        keyed = pq.read_table(path).drop_columns("user_id").append_column("client_id", pa.array(clients, pa.string()))
        pq.write_table(keyed, path)
        return path

    def ingest(self, as_of: date = AS_OF) -> JobReport:
        return run(self.spark, self.deliveries.params(as_of=as_of))

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.tables.of(table)

    def ids(self) -> dict[str, int]:
        """Internal id by client id, asked of the crosswalk."""
        kept = {bytes(row["hmac"]): row["user_id"] for row in self.rows(CROSSWALK)}
        hashed = {client: self.people.keys.digest(IdKind.CLIENT, client) for client in CLIENTS}
        return {client: kept[digest] for client, digest in hashed.items() if digest in kept}


@pytest.fixture(scope="module")
def bank(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = Bank(spark, Deliveries(tmp_path_factory.mktemp("identity")))
    bank.export(AS_OF, [CLIENTS[0], f"  {CLIENTS[1]} ", None, " ", TOO_LONG])
    bank.ingest()
    return bank


def test_a_client_has_one_random_id_in_every_table(bank: Bank) -> None:
    ids = bank.ids()
    assert len(ids) == len(set(ids.values())) == 2
    assert min(ids.values()) > 2**40
    assert {row["user_id"] for row in bank.rows("silver.customers")} == set(ids.values())


def test_rows_without_a_client_id_are_quarantined_with_the_reason(bank: Bank) -> None:
    frame = bank.spark.read.format("delta").load(f"{bank.lake}/quarantine/customers")
    assert [row["reason"] for row in frame.collect()] == ["client_id is null, empty or too long"] * 3


def test_the_client_id_is_in_no_file_of_the_lake(bank: Bank) -> None:
    assert _files_holding(bank.lake, "client-000", TOO_LONG) == []
    assert _files_holding(str(bank.deliveries.root / "dwh"), "client-000") != []


def test_a_client_keeps_the_id_when_delivered_again_and_a_new_one_gets_another(bank: Bank) -> None:
    before = bank.ids()
    bank.export(AS_OF + timedelta(days=1), CLIENTS)
    report = bank.ingest(AS_OF + timedelta(days=1))
    after = bank.ids()
    assert after.items() > before.items()
    assert len(set(after.values())) == 3
    assert report.tables["bronze.deliveries"].details["new_clients"] == 1


def test_two_who_enrol_at_once_agree_on_the_id(bank: Bank) -> None:
    names = [(f"walk-in-{number}",) for number in range(3)]
    frame = bank.spark.createDataFrame(names, "client_id string")
    before = len(bank.rows(CROSSWALK))
    threads = [threading.Thread(target=bank.people.enrol, args=([frame],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bank.rows(CROSSWALK)) == before + 3


def test_an_erased_client_does_not_come_back_under_another_id(bank: Bank) -> None:
    gone = bank.ids()[CLIENTS[0]]
    for _ in range(2):
        register_erased(bank.people, gone, on=AS_OF)
    assert sorted(row["kind"] for row in bank.rows(ERASURES)) == ["client", "user"]
    raw = bank.spark.read.parquet(str(bank.export(AS_OF + timedelta(days=2), CLIENTS)))
    assert bank.people.enrol([raw]) == 0
    mapped = {row["user_id"] for row in bank.people.with_user_ids(raw).collect()}
    assert len(mapped) == 2
    assert gone not in mapped


def test_rows_of_the_erased_are_left_out_and_counted(bank: Bank) -> None:
    gone = 2**62 + 77
    register_erased(bank.people, gone, on=AS_OF)
    same_bucket = gone - BUCKETS
    rows = bank.spark.createDataFrame([(gone,), (gone,), (same_bucket,), (None,)], "user_id bigint")
    kept, erased = bank.people.without_erased(rows)
    assert [row["user_id"] for row in kept.sort("user_id").collect()] == [None, same_bucket]
    assert erased == 2


def test_a_rotated_key_changes_the_hashes_and_no_id(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    before, erased = bank.ids(), {bytes(row["hmac"]) for row in bank.rows(ERASURES)}
    monkeypatch.setenv("RECS_IDENTITY_KEY", "development-only,the-second")
    with pytest.raises(InputError, match="recs identity rotate"):
        bank.people.require_current_keys()
    assert rotate(bank.people)[CROSSWALK] >= 3
    assert bank.ids() == before
    assert erased.isdisjoint(bytes(row["hmac"]) for row in bank.rows(ERASURES))
    assert set(rotate(bank.people).values()) == {0}
    forget_history(bank.spark, f"{bank.lake}/identity/erasures")
    kept = {digest for path in Path(bank.lake).glob("identity/erasures/*.parquet") for digest in _hashes(path)}
    assert kept == {bytes(row["hmac"]) for row in bank.rows(ERASURES)}
    bank.people.require_current_keys()


def test_a_key_that_is_not_the_lakes_is_refused(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECS_IDENTITY_KEY", "another")
    with pytest.raises(InputError, match="RECS_IDENTITY_KEY is not the key"):
        bank.people.require_current_keys()


def _hashes(path: Path) -> list[bytes]:
    hashes: list[bytes] = pq.read_table(path).column("hmac").to_pylist()
    return hashes


def _files_holding(folder: str, *texts: str) -> list[str]:
    """Files with one of the texts in their bytes or, of Parquet, in a value."""
    holding = []
    for path in (path for path in Path(folder).rglob("*") if path.is_file()):
        content = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            content += str(pq.ParquetFile(path).read().to_pydict())
        if any(text in content for text in texts):
            holding.append(str(path))
    return holding
