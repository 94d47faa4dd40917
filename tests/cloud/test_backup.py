"""The drill: what cannot be rebuilt is backed up, everything is destroyed, restored, and answers as before."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import orjson
import pytest

from api.app import create_app
from data_contracts.errors import InputError
from data_contracts.overlay import EventRow
from data_contracts.overlay.kinds import FEEDBACK
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel
from infra.backup.backing import back_up
from infra.backup.restoring import check, restore
from infra.backup.tables import KEPT, MADE_AGAIN, keep_table, put_back_table
from infra.backup.vault import Vault, staying_ids
from infra.local.clickhouse.running import running_clickhouse
from sql.client import Address, Store, connected
from sql.migrate import migrate
from sql.pointer import current, publish, rollback
from sql.rules import block, put_rule_set
from sql.user_events import put_events
from tests.day_snapshots import load_snapshot
from tests.day_world import ALICE, BOB, CATALOGUE, FIRST, LISTS, NOW, REASONS, RULES, SECOND, STRANGER

FILES = {
    "landing/bank.transactions/2026-03-15/07/00000-0-a.avro": b"landed",
    "quarantine/landing/bank.transactions/2026-03-15/07/00000-1-a.avro": b"refused",
    "identity/crosswalk/_delta_log/00000000000000000000.json": b"{}",
    "models/2026-03-15/products/model.json": b"a model",
    "reports/erasures/abc.json": b"{}",
}


@dataclass(frozen=True)
class Here:
    """An installation that a test may destroy."""

    settings: Settings
    vault: Vault

    @property
    def lake(self) -> Path:
        return Path(self.settings.lake_uri)

    @property
    def registry(self) -> Path:
        return self.settings.data_dir / "mlflow.db"

    @contextmanager
    def running(self) -> Iterator[Settings]:
        with running_clickhouse(self.settings.data_dir / "clickhouse") as url:
            yield self.settings.model_copy(update={"clickhouse_url": url})

    @contextmanager
    def store(self, settings: Settings) -> Iterator[Store]:
        with connected(Address.of(settings)) as store:
            yield store

    def answers(self, settings: Settings) -> list[dict[str, Any]]:
        """What the service says to everyone everywhere, but for the answer's own id."""

        async def asked() -> list[dict[str, Any]]:
            app = create_app(settings, clock=lambda: NOW)
            transport = httpx.ASGITransport(app=app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://api") as client,
            ):
                found = []
                for user_id in (ALICE, BOB, STRANGER):
                    for channel in Channel:
                        params = {"user_id": user_id, "channel": channel.value}
                        answer = await client.get("/api/v1/recommendations", params=params)
                        found.append({**orjson.loads(answer.content), "rec_id": ""})
                return found

        return asyncio.run(asked())

    def destroy(self) -> None:
        shutil.rmtree(self.lake)
        shutil.rmtree(self.settings.data_dir / "clickhouse")
        self.registry.unlink()


@pytest.fixture
def here(tmp_path: Path) -> Here:
    settings = Settings(data_dir=tmp_path / "data", grpc_port=0, lookup_deadline_ms=5_000)
    one = Here(settings, Vault(str(tmp_path / "vault")))
    for path, content in FILES.items():
        (one.lake / path).parent.mkdir(parents=True)
        (one.lake / path).write_bytes(content)
    (one.lake / "silver" / "interactions").mkdir(parents=True)
    with closing(sqlite3.connect(one.registry)) as registry:
        registry.execute("CREATE TABLE versions (name TEXT)")
        registry.execute("INSERT INTO versions VALUES ('products')")
        registry.commit()
    return one


def filled(here: Here, settings: Settings) -> None:
    """Two snapshots, the second one served, a block, and a user who has opted out."""
    migrate(Address.of(settings))
    with here.store(settings) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        for snapshot_id, lists in ((FIRST, LISTS), (SECOND, {**LISTS, BOB: LISTS[ALICE]})):
            load_snapshot(store, here.lake / "snapshots" / snapshot_id, snapshot_id=snapshot_id, lists=lists)
            publish(store, snapshot_id, actor="test")
        block(store, "card_gold", actor="compliance", why="test")
        at = int(NOW.timestamp() * 1_000_000) - 1
        put_events(store, [EventRow(ALICE, at, FEEDBACK, "opted_out", "e", "", "crm", "", MAX_CUT_OFF, FOR_GOOD)])


def test_after_everything_was_destroyed_a_restore_from_a_bucket_answers_as_before(here: Here, bucket: str) -> None:
    here = replace(here, vault=Vault(f"s3://{bucket}/backups"))
    with here.running() as settings:
        filled(here, settings)
        before = here.answers(settings)
        # Somebody writes to the registry meanwhile.
        with closing(sqlite3.connect(here.registry)) as registry:
            registry.execute("INSERT INTO versions VALUES ('half')")
            backup = back_up(settings, here.vault)
    assert {answer["tier"] for answer in before} >= {"personal", "popular"}
    here.destroy()
    with here.running() as settings:
        assert here.vault.backup(here.vault.ids()[-1]) == backup
        restore(settings, here.vault, backup)
        assert here.answers(settings) == before
        with here.store(settings) as store:
            # To what was served before, and only to what is there.
            assert rollback(store, actor="test") == FIRST
    assert {path: (here.lake / path).read_bytes() for path in FILES} == FILES
    with closing(sqlite3.connect(here.registry)) as registry:
        assert registry.execute("SELECT name FROM versions").fetchall() == [("products",)]


def test_a_restore_that_was_killed_serves_nothing_and_is_run_again(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    with here.running() as settings:
        filled(here, settings)
        before, backup = here.answers(settings), back_up(settings, here.vault)

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("infra.backup.restoring.load_verified", killed)
            with pytest.raises(KeyboardInterrupt):
                restore(settings, here.vault, backup)
        with here.store(settings) as store:
            assert current(store) is None
        for _ in range(2):
            restore(settings, here.vault, backup)
            assert here.answers(settings) == before


def test_what_came_after_the_backup_is_not_lost_unless_somebody_says_so(here: Here) -> None:
    late = here.lake / "landing/bank.transactions/2026-03-15/08/00000-9-b.avro"
    with here.running() as settings:
        filled(here, settings)
        backup = back_up(settings, here.vault)
        late.parent.mkdir()
        late.write_bytes(b"later")
        with pytest.raises(InputError, match=r"newer than backup .*00000-9-b\.avro"):
            restore(settings, here.vault, backup)
        late.unlink()
        with here.store(settings) as store:
            block(store, "loan_cash", actor="compliance", why="after the backup")
            with pytest.raises(InputError, match=r"newer than backup .*: blocks \(newest row"):
                restore(settings, here.vault, backup)
            assert current(store) == SECOND
            restore(settings, here.vault, backup, overwrite_newer=True)
            assert store.rows("blocks_v1/current")[0][0] == "card_gold"


def test_what_is_there_is_kept_once_and_old_backups_go_with_what_only_they_need(here: Here) -> None:
    with here.running() as settings:
        migrate(Address.of(settings))
        first = back_up(settings, here.vault)
        objects = {path.name for path in Path(here.vault.uri).rglob("objects/*/*")}
        (here.lake / "models/2026-03-15/products/model.json").write_bytes(b"another")
        time.sleep(1.1)  # a backup's name is its second
        second = back_up(settings, here.vault)
        assert here.vault.ids() == (first.backup_id, second.backup_id)
        added = {path.name for path in Path(here.vault.uri).rglob("objects/*/*")} - objects
        assert len(added) == 1
    gone = set(first.contents) - set(second.contents)
    assert here.vault.forget(keep=1, now=datetime.now(UTC)) == (first.backup_id,)
    assert all(here.vault.has(first.contents[sha256]) for sha256 in gone)  # it might belong to a backup being made
    here.vault.forget(keep=1, now=datetime.now(UTC) + timedelta(days=2))
    assert not any(here.vault.has(first.contents[sha256]) for sha256 in gone)
    check(here.vault, second)


@pytest.mark.parametrize("harm", ["cut", "changed", "missing", "manifest"])
def test_a_backup_that_was_harmed_is_refused_by_name_and_changes_nothing(here: Here, harm: str) -> None:
    with here.running() as settings:
        migrate(Address.of(settings))
        backup = back_up(settings, here.vault)
    one = next(file.content for file in backup.files if file.path.endswith("model.json"))
    path = Path(here.vault.uri) / "objects" / one.sha256[:2] / one.sha256
    if harm == "manifest":
        manifest = Path(here.vault.uri) / "backups" / f"{backup.backup_id}.json"
        manifest.write_text(manifest.read_text().replace("model.json", "model.jsox"))
        with pytest.raises(InputError, match="its checksum differs"):
            here.vault.backup(backup.backup_id)
        return
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"a" if harm == "cut" else b"b modem")
    model = here.lake / "models/2026-03-15/products/model.json"
    model.unlink()
    with pytest.raises(InputError, match=one.sha256):
        check(here.vault, backup)
    with pytest.raises(InputError, match=one.sha256), here.running() as settings:
        restore(settings, here.vault, backup)
    assert not model.exists()


def test_every_table_is_kept_or_made_again_and_every_type_comes_back_as_it_was(here: Here) -> None:
    moment = {"expires_at": "toDateTime('2100-01-01', 'UTC')", **dict.fromkeys(KEPT.values(), "now64(6, 'UTC')")}
    with here.running() as settings:
        migrate(Address.of(settings))
        with (
            here.store(settings) as store,
            clickhouse_connect.get_client(dsn=settings.clickhouse_url, database="recs") as client,
        ):
            assert {row[0] for row in store.rows("backup/tables")} == {*KEPT, *MADE_AGAIN}
            for table in KEPT:
                client.command(f"TRUNCATE TABLE {table}")
                described = client.query(f"DESCRIBE TABLE {table}").result_rows
                columns = [row[:2] for row in described if row[2] != "MATERIALIZED"]
                structure = ", ".join(f"{name} {_plain(kind)}" for name, kind in columns)
                values = ", ".join(moment.get(name, name) for name, _ in columns)
                random = f"SELECT {values} FROM generateRandom('{structure}', 7) LIMIT 40"  # noqa: S608
                client.command(f"INSERT INTO {table} ({', '.join(name for name, _ in columns)}) {random}")
                before = _content(client, table)
                kept = keep_table(here.vault, store, table)
                client.command(f"TRUNCATE TABLE {table}")
                put_back_table(here.vault, store, kept)
                assert _content(client, table) == before, table


def _plain(kind: str) -> str:
    """Without what only a table may say of its column; a quote as generateRandom's argument needs it."""
    if kind.startswith("SimpleAggregateFunction("):
        kind = kind.partition(", ")[2].removesuffix(")")
    return kind.replace("'", "\\'")


def _content(client: Any, table: str) -> list[Any]:
    content = "count(), groupBitXor(cityHash64(toString(tuple(*))))"
    return list(client.query(f"SELECT {content} FROM {table}").result_rows)  # noqa: S608


def test_the_newest_backups_stay_and_beside_them_the_last_of_each_day() -> None:
    ids = [f"202603{day:02d}T{hour:02d}1700Z" for day in (14, 15, 16) for hour in (1, 9, 23)]
    assert staying_ids(ids, keep=2, days=0) == set(ids[-2:])
    assert staying_ids(ids, keep=2, days=2) == {"20260315T231700Z", *ids[-2:]}
    assert staying_ids(ids, keep=2, days=99) == {"20260314T231700Z", "20260315T231700Z", *ids[-2:]}
    assert staying_ids(ids, keep=99, days=1) == set(ids)
    assert staying_ids([], keep=1, days=1) == set()
