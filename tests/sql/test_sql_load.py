"""A snapshot comes into ClickHouse whole, once, or not at all."""

import shutil
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from data_contracts.errors import GateError, InputError, UnavailableError
from data_contracts.manifest import MANIFEST_FILE, Erasure, Manifest
from sql.client import Address, Store, connected
from sql.erase import erase_user
from sql.load import TABLES, load, load_from
from sql.sources import OwnFolder, Source, Target, open_source
from sql.states import State, state_of
from sql.verify import loaded_counts, verify
from tests.sql.fake_s3 import serving_bucket
from tests.sql.snapshots import user_ids, write_manifest, write_snapshot

ID = "2026-03-15.1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_snapshot(tmp_path / ID, snapshot_id=ID)
    return tmp_path / ID


def test_a_loaded_snapshot_equals_its_manifest(store: Store, folder: Path) -> None:
    manifest = load(store, snapshot_uri=str(folder))
    verify(store, manifest)
    assert state_of(store, ID) is State.VERIFIED
    assert store.rows("lists_v1/lookup", snapshot_id=ID, user_ids=[11, 48, 12]) != []


def test_a_file_uri_is_a_folder_too(store: Store, folder: Path) -> None:
    verify(store, load(store, snapshot_uri=folder.as_uri()))


def test_every_value_of_a_look_up_is_the_parquet_s(store: Store, folder: Path) -> None:
    load(store, snapshot_uri=str(folder))
    for table in ("lists", "user_state"):
        written = pq.read_table(folder / table).sort_by("user_id")
        ids = written["user_id"].to_pylist()
        found = store.table(f"{table}_v1/lookup", snapshot_id=ID, user_ids=ids).sort_by("user_id")
        assert found.to_pylist() == written.select(found.column_names).to_pylist()
        assert set(found.column_names) == set(written.column_names)


def test_a_server_that_does_not_see_the_folder_gets_the_same(store: Store, folder: Path) -> None:
    manifest = open_source(store, snapshot_uri=str(folder)).manifest
    verify(store, load_from(store, OwnFolder(folder=folder, manifest=manifest)))


def test_a_server_reads_a_bucket_by_itself(store: Store, folder: Path, clickhouse_is_embedded: bool) -> None:
    if not clickhouse_is_embedded:
        pytest.skip("a server elsewhere cannot reach the fake bucket of this test")
    with serving_bucket(folder.parent) as endpoint, connected(replace(store.address, s3_endpoint=endpoint)) as near:
        verify(store, load(near, snapshot_uri=f"s3a://lake/{ID}"))


def test_a_load_run_again_leaves_one_copy(store: Store, folder: Path) -> None:
    for _ in range(3):
        verify(store, load(store, snapshot_uri=str(folder)))


def test_a_snapshot_of_before_audience_pools_is_taken_without_one_and_keeps_what_it_has(
    store: Store, folder: Path
) -> None:
    shutil.rmtree(folder / "audience_pool")
    manifest = Manifest.from_json((folder / MANIFEST_FILE).read_text())
    tables = {name: counts for name, counts in manifest.tables.items() if name != "audience_pool"}
    (folder / MANIFEST_FILE).write_text(manifest.model_copy(update={"tables": tables}).to_json())
    verify(store, load(store, snapshot_uri=str(folder)))
    made_of_lists = {"snapshot_id": [ID], "variant": ["personal"], "item": [3], "shortfall": [535], "user_id": [11]}
    store.insert("audience_pool", pa.table(made_of_lists))
    verify(store, load(store, snapshot_uri=str(folder)))
    begin = {"variant": "personal", "item": 3, "after_short": 0, "after_user": 0, "least_score": 0, "most": 5}
    page = store.table("audience_pool_v1/page", snapshot_id=ID, **begin)
    assert page.to_pylist() == [{"user_id": 11, "shortfall": 535, "score": 65_000}]
    assert erase_user(store, 11, manifests={}, note=Erasure(receipt="r", at=datetime.now(UTC))).before["lists"] == 1
    assert loaded_counts(store, table="audience_pool", snapshot_id=ID).rows == 0
    assert state_of(store, ID) is State.VERIFIED


def test_snapshots_lie_beside_each_other(store: Store, folder: Path, tmp_path: Path) -> None:
    other = write_snapshot(tmp_path / "other", snapshot_id="2026-03-16.1", seed=8)
    first = load(store, snapshot_uri=str(folder))
    load(store, snapshot_uri=str(tmp_path / "other"))
    verify(store, first)
    verify(store, other)
    assert first.tables["lists"].checksum != other.tables["lists"].checksum


def test_a_load_killed_before_it_replaced_is_simply_run_again(store: Store, folder: Path) -> None:
    source = open_source(store, snapshot_uri=str(folder))
    dying = _DiesAfter(source, inserts=2)
    with pytest.raises(_KilledError):
        load_from(store, dying)
    assert state_of(store, ID) is State.LOADING
    with pytest.raises(GateError):
        verify(store, source.manifest)
    verify(store, load_from(store, source))


def test_a_load_ends_what_a_killed_one_still_inserts(address: Address, store: Store, folder: Path) -> None:
    store.run("lists_v1/stage")
    zombie = threading.Thread(target=_insert_forever, args=(address,))
    zombie.start()
    _wait_until_running(address)
    verify(store, load(store, snapshot_uri=str(folder)))
    zombie.join(timeout=20)
    assert not zombie.is_alive()


def test_merged_parts_are_what_is_served(address: Address, store: Store, folder: Path) -> None:
    load(store, snapshot_uri=str(folder))
    for table in TABLES:
        assert _parts(address, table) <= 1
        assert _parts(address, f"{table}_staging") == 0


@pytest.mark.parametrize("kept", [0, 200, -1])
def test_a_truncated_file_is_named_and_nothing_is_loaded(store: Store, folder: Path, kept: int) -> None:
    broken = folder / "user_state" / "part-00001.parquet"
    broken.write_bytes(broken.read_bytes()[:kept])
    with pytest.raises(InputError, match=f"{broken} is not a whole Parquet file"):
        load(store, snapshot_uri=str(folder))
    assert loaded_counts(store, table="user_state", snapshot_id=ID).rows == 0


def test_a_missing_file_is_noticed_by_its_rows(store: Store, folder: Path) -> None:
    (folder / "lists" / "part-00001.parquet").unlink()
    with pytest.raises(InputError, match="lists holds 150 rows in 1 files, its manifest says 300"):
        load(store, snapshot_uri=str(folder))


def test_a_missing_column_is_named(store: Store, folder: Path) -> None:
    path = folder / "items" / "part-00000.parquet"
    pq.write_table(pq.read_table(path).drop(["name_ru"]), path)
    with pytest.raises(InputError, match=f"{path} lacks columns name_ru of snapshot table items"):
        load(store, snapshot_uri=str(folder))


def test_a_column_of_a_wrong_type_is_refused(store: Store, folder: Path) -> None:
    for path in (folder / "user_state").glob("*.parquet"):
        table = pq.read_table(path)
        words = pa.array(["many"] * table.num_rows)
        pq.write_table(table.set_column(table.column_names.index("segment"), "segment", words), path)
    with pytest.raises(InputError, match="refused load/from_file"):
        load(store, snapshot_uri=str(folder))


def test_a_table_without_rows_is_loaded_as_such(store: Store, tmp_path: Path) -> None:
    write_snapshot(tmp_path, snapshot_id=ID, users=0)
    shutil.rmtree(tmp_path / "portraits")
    manifest = write_manifest(tmp_path, snapshot_id=ID)
    verify(store, load(store, snapshot_uri=str(tmp_path)))
    assert manifest.tables["portraits"].rows == 0


def test_a_folder_without_a_manifest_is_no_snapshot(store: Store, folder: Path) -> None:
    (folder / MANIFEST_FILE).unlink()
    with pytest.raises(InputError, match=r"is not a snapshot: it has no manifest\.json"):
        load(store, snapshot_uri=str(folder))
    with pytest.raises(InputError, match="nowhere is not a snapshot"):
        load(store, snapshot_uri="/nowhere")


@pytest.mark.parametrize("text", ["", "{}", '{"snapshot_id": 7}'])
def test_a_broken_manifest_is_refused(store: Store, folder: Path, text: str) -> None:
    (folder / MANIFEST_FILE).write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json is not a snapshot's manifest"):
        load(store, snapshot_uri=str(folder))


def test_a_manifest_of_other_data_fails_the_gate(store: Store, folder: Path, tmp_path: Path) -> None:
    manifest = load(store, snapshot_uri=str(folder))
    other = write_snapshot(tmp_path / "other", snapshot_id=ID, users=301, seed=8)
    with pytest.raises(GateError, match="lists has 300 rows instead of 301"):
        verify(store, other)
    changed = {**manifest.tables, "items": manifest.tables["items"].model_copy(update={"checksum": "0" * 16})}
    with pytest.raises(GateError, match="items has other content"):
        verify(store, manifest.model_copy(update={"tables": changed}))
    assert state_of(store, ID) is State.LOADED


def test_text_that_looks_like_sql_is_only_text(store: Store, folder: Path) -> None:
    load(store, snapshot_uri=str(folder))
    nasty = "x' OR 1 = 1; DROP TABLE lists; --"
    assert store.rows("lists_v1/lookup", snapshot_id=nasty, user_ids=[11]) == []
    assert store.rows("items_v1/known", item_id=nasty)[0][0] == 0
    with pytest.raises(InputError):
        store.rows("lists_v1/lookup", snapshot_id=ID, user_ids=["1); DROP TABLE lists; --"])
    assert loaded_counts(store, table="lists", snapshot_id=ID).rows == len(user_ids(300))


def test_nobody_listening_is_unavailable() -> None:
    with (
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 does not answer"),
        connected(Address("http://127.0.0.1:9")),
    ):
        pass


class _KilledError(Exception):
    pass


class _DiesAfter:
    """A source whose process is killed at its n-th table."""

    def __init__(self, source: Source, *, inserts: int) -> None:
        self._source = source
        self._left = inserts
        self.manifest = source.manifest

    def insert(self, store: Store, target: Target) -> None:
        self._source.insert(store, target)
        self._left -= 1
        if self._left == 0:
            raise _KilledError


def _insert_forever(address: Address) -> None:
    client = clickhouse_connect.get_client(dsn=address.url, database=address.database)
    with client, pytest.raises(DatabaseError):
        client.command(
            "INSERT INTO lists_staging (snapshot_id, user_id) "
            "SELECT {id:String}, number + sleepEachRow(0.01) FROM numbers(100000) SETTINGS max_block_size = 5",
            parameters={"id": ID},
            settings={"log_comment": f"load {ID}"},
        )


def _wait_until_running(address: Address) -> None:
    sql = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = {mark:String}"
    deadline = time.monotonic() + 20
    while not _count(address, sql, mark=f"load {ID}"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _parts(address: Address, table: str) -> int:
    sql = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND active AND table = {table:String}"
    return _count(address, sql, table=table)


def _count(address: Address, sql: str, **parameters: str) -> int:
    with clickhouse_connect.get_client(dsn=address.url, database=address.database) as client:
        return int(client.command(sql, parameters=parameters))
