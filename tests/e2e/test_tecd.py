"""A whole night on an eighth of the people of three real T-ECD days, without any bank data."""

import json
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from infra.bench.tecd import TECD
from tests.e2e.nights import Recs

pytestmark = pytest.mark.skipif(not TECD.exists(), reason="the real T-ECD days are not beside this checkout")

_ONE_IN = 8


def test_a_night_on_real_days_gives_every_user_twenty_offers(clickhouse_url: str, tmp_path: Path) -> None:
    recs = Recs(tmp_path / "data", clickhouse_url)
    users = _some_people(TECD, tmp_path / "tecd")
    source = ("--tecd", str(tmp_path / "tecd"), "--offer-domains", "marketplace", "--day", "1297")
    ended = recs("night", *source, "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    manifest = json.loads(ended.stdout)["manifest"]
    lists = pq.read_table(recs.lake / "snapshots" / manifest["snapshot_id"] / "lists", columns=["offer_items"])
    assert lists.num_rows == len(users)
    assert set(lists.to_pandas()["offer_items"].str.len()) == {20}


def _some_people(source: Path, target: Path) -> set[int]:
    """Writes the same days with every eighth user in them, and gives their ids. `make bench` takes everybody."""
    users: set[int] = set()
    for path in source.rglob("*.pq"):
        events = pq.read_table(path)
        ids = events.column("user_id").to_numpy()
        events = events.filter(ids % _ONE_IN == 0)
        users.update(pc.unique(events.column("user_id")).to_pylist())
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(events, copy)
    return users
