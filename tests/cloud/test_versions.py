"""Neighbouring versions of images, migrations and snapshots together, in any order: real processes on a real engine.

The version before this one is the code as it was before the newest migration, from the repository's history where there
is one; the version after it, whose code nobody has yet, is what it may leave behind: columns more, a table more.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.local.clickhouse.running import running_clickhouse
from infra.local.embedded import free_port
from infra.stack import wait_until_ready
from sql.client import Address, connected
from sql.load import load
from sql.migrate import migrate, steps
from sql.pointer import publish
from sql.rules import put_rule_set
from sql.verify import verify
from tests.day_snapshots import load_snapshot
from tests.day_world import ALICE, CATALOGUE, FIRST, REASONS, RULES, SECOND

ROOT = Path(__file__).parents[2]
URL = "/api/v1/recommendations"
# As steps change tables: by columns with a default. What is loaded whole gets a table of a new version.
NEXT_VERSION = (
    "ALTER TABLE exposures ADD COLUMN surface String DEFAULT ''",
    "ALTER TABLE feedback ADD COLUMN surface String DEFAULT ''",
    "ALTER TABLE user_events ADD COLUMN surface String DEFAULT ''",
    "CREATE TABLE lists_v9 (user_id UInt64) ENGINE = MergeTree ORDER BY user_id",
)
# What a look-up cannot do without: the events in the table that it reads.
MIRROR = ("user_events_v1/mirror", "user_events_v1/mirror_all")
NOT_THERE_YET = (
    "DROP VIEW user_events_to_rows SYNC",
    "ALTER TABLE user_rows DROP PARTITION ''",
    f"ALTER TABLE migrations DELETE WHERE file IN {MIRROR} SETTINGS mutations_sync = 2",
)
# Run by the code of the version before, in its own folder.
PUBLISH = """
import sys
from pathlib import Path
from sql.client import Address, connected
from sql.migrate import migrate
from sql.pointer import publish
from sql.rules import put_rule_set
from tests.day_snapshots import load_snapshot
from tests.day_world import CATALOGUE, FIRST, REASONS, RULES
address = Address(url=sys.argv[1])
migrate(address)
with connected(address) as store:
    put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
    load_snapshot(store, Path(sys.argv[2]), snapshot_id=FIRST)
    publish(store, FIRST, actor="test")
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Address]:
    with running_clickhouse(tmp_path / "clickhouse") as url:
        yield Address(url=url)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the version before."""
    newest = git("log", "-1", "--format=%H", "--", "sql/migrations.yaml").decode().strip()
    archived = git("archive", f"{newest}^") if newest else b""
    if not archived:
        pytest.skip("the code before the newest migration is not here: no history, or not that far back")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def git(*arguments: str) -> bytes:
    """What it prints; nothing where it cannot."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


def of_code(code: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(code)}


@contextmanager
def service(address: Address, folder: Path, *, code: Path = ROOT) -> Iterator[httpx.Client]:
    """`python -m api` of that code."""
    port = free_port()
    settings = {
        "RECS_API_PORT": str(port),
        "RECS_DATA_DIR": str(folder),
        "RECS_CLICKHOUSE_URL": address.url,
        "RECS_AUTH": "off",
        "RECS_LOOKUP_DEADLINE_MS": "5000",
        "RECS_MAX_SNAPSHOT_AGE_DAYS": "36500",
    }
    with subprocess.Popen([sys.executable, "-m", "api"], cwd=code, env={**of_code(code), **settings}) as process:
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/readyz")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
        finally:
            process.terminate()


def answer(client: httpx.Client) -> Any:
    told = client.get(URL, params={"user_id": ALICE, "channel": "web"})
    assert told.status_code == 200, told.text
    return told.json()


def until(holds: Callable[[], bool], *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def run(address: Address, statement: str) -> Any:
    """What it gives first."""
    with clickhouse_connect.get_client(dsn=address.url, database=address.database) as client:
        return client.command(statement)


def rows(address: Address, table: str) -> int:
    return int(run(address, f"SELECT count() FROM {table}"))  # noqa: S608


def publish_first(address: Address, folder: Path) -> None:
    migrate(address)
    with connected(address) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        load_snapshot(store, folder, snapshot_id=FIRST)
        publish(store, FIRST, actor="test")


def test_a_service_that_comes_before_a_table_answers_and_is_personal_once_it_comes(
    address: Address, tmp_path: Path
) -> None:
    publish_first(address, tmp_path / "first")
    for statement in NOT_THERE_YET:
        run(address, statement)
    with service(address, tmp_path / "data") as client:
        behind = answer(client)
        assert behind["tier"] != "personal" and behind["recommendations"]
        assert migrate(address) == MIRROR
        until(lambda: bool(answer(client)["tier"] == "personal"))


def test_this_version_works_on_the_tables_and_snapshots_of_the_next(address: Address, tmp_path: Path) -> None:
    publish_first(address, tmp_path / "first")
    with connected(address) as store:
        for number, statement in enumerate(NEXT_VERSION, start=len(steps()) + 1):
            run(address, statement)
            digest = hashlib.sha256(statement.encode()).hexdigest()
            store.run("migrations_v1/put", step=number, file=f"next_{number}", digest=digest)
        assert migrate(address) == (), "what it does not know it leaves alone"
        of_next_night(tmp_path / "first", tmp_path / "second")
        verify(store, load(store, snapshot_uri=str(tmp_path / "second")))
        publish(store, SECOND, actor="test")
        with service(address, tmp_path / "data") as client:
            told = answer(client)
            assert (told["tier"], told["snapshot_id"]) == ("personal", SECOND)
            click = {
                "rec_id": told["rec_id"],
                "user_id": ALICE,
                "event_type": "click",
                "timestamp": told["timestamp"],
            }
            assert client.post(f"{URL}/feedback", json=click).status_code == 202
            until(lambda: rows(address, "feedback") == 1 and rows(address, "exposures") == 1)


def of_next_night(first: Path, second: Path) -> None:
    """The same snapshot as a later version writes it: each table and the manifest say more."""
    for path in first.glob("*/*.parquet"):
        table = pq.read_table(path)
        (second / path.parent.name).mkdir(parents=True)
        more = table.append_column("novelty", pa.array([0.5] * table.num_rows, pa.float32()))
        pq.write_table(more, second / path.parent.name / path.name)
    manifest = orjson.loads((first / "manifest.json").read_bytes())
    manifest |= {"snapshot_id": SECOND, "as_of": SECOND[:10], "novelty": {"mean": 0.5}}
    manifest["versions"]["novelty"] = "1"
    (second / "manifest.json").write_bytes(orjson.dumps(manifest))


def test_the_service_of_the_version_before_answers_from_this_versions_tables(
    address: Address, tmp_path: Path, before: Path
) -> None:
    publish_first(address, tmp_path / "first")
    with service(address, tmp_path / "data", code=before) as client:
        assert answer(client)["tier"] == "personal"
        until(lambda: rows(address, "exposures") == 1)


def test_this_service_answers_from_what_the_version_before_has_published(
    address: Address, tmp_path: Path, before: Path
) -> None:
    command = [sys.executable, "-c", PUBLISH, address.url, str(tmp_path / "first")]
    subprocess.run(command, cwd=before, env=of_code(before), check=True)
    with service(address, tmp_path / "data") as client:
        assert answer(client)["tier"] == "personal"
        migrate(address)
        assert answer(client)["tier"] == "personal"
        until(lambda: rows(address, "exposures") == 2)
