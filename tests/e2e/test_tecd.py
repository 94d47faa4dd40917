"""A whole night on three real T-ECD days, without any bank data."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.bench.tecd import TECD
from tests.e2e.nights import Recs

pytestmark = pytest.mark.skipif(not TECD.exists(), reason="the real T-ECD days are not beside this checkout")


def test_a_night_on_real_days_gives_every_user_twenty_offers(clickhouse_url: str, tmp_path: Path) -> None:
    recs = Recs(tmp_path, clickhouse_url)
    source = ("--tecd", str(TECD), "--offer-domains", "marketplace", "--day", "1297")
    ended = recs("night", *source, "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    manifest = json.loads(ended.stdout)["manifest"]
    lists = pq.read_table(recs.lake / "snapshots" / manifest["snapshot_id"] / "lists", columns=["offer_items"])
    users = {
        user
        for path in (TECD / "marketplace" / "events").glob("*.pq")
        for user in pq.read_table(path, columns=["user_id"]).column(0).to_pylist()
    }
    assert lists.num_rows == len(users)
    assert set(lists.to_pandas()["offer_items"].str.len()) == {20}
