"""A snapshot comes into ClickHouse whole, once, or not at all."""

from pathlib import Path

from sql.client import Store
from sql.load import load
from sql.pointer import current, publish
from sql.verify import verify
from tests.sql.snapshots import write_snapshot


def test_a_loaded_snapshot_equals_its_manifest_and_can_be_published(store: Store, tmp_path: Path) -> None:
    write_snapshot(tmp_path, snapshot_id="2026-03-15.1")
    manifest = load(store, snapshot_uri=str(tmp_path))
    verify(store, manifest)
    assert current(store) is None
    publish(store, "2026-03-15.1", actor="test")
    assert current(store) == "2026-03-15.1"
