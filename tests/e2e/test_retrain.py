"""A registered version is made again, byte for byte, from the Delta versions of its training, whatever came later.

Minutes, of which a night is most: `make chaos`.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from spark_jobs.lake.commits import last_commit, newest_version
from tests.e2e.nights import Night, Recs

pytestmark = pytest.mark.chaos
# What rankers of products and of offers learn from.
_CHANGED = ("silver/product_events", "silver/interactions", "gold/user_features", "gold/user_history")


@pytest.fixture
def later(night: Night, tmp_path: Path) -> Recs:
    """The night's lake, copied, from which much of what models learn from was taken back since."""
    shutil.copytree(night.recs.lake, tmp_path / "lake")
    for table in _CHANGED:
        _take_back(tmp_path / "lake" / table)
    return replace(night.recs, data_dir=tmp_path, registry=night.recs.environment["RECS_MLFLOW_URL"])


def _take_back(table: Path) -> None:
    """As a commit that deletes what the one before it added."""
    commit, version = last_commit(str(table)), newest_version(str(table))
    assert commit is not None and version is not None and commit.added
    removed = [
        {"remove": {"path": file.path, "deletionTimestamp": 1, "dataChange": True, "partitionValues": file.partition}}
        for file in commit.added
    ]
    lines = [{"commitInfo": {"timestamp": 1, "operation": "DELETE", "operationParameters": {}}}, *removed]
    path = table / "_delta_log" / f"{version + 1:020d}.json"
    path.write_text("\n".join(json.dumps(line) for line in lines))


@pytest.mark.parametrize("model", ["products", "offers"])
def test_a_version_is_trained_again_to_the_same_files_on_the_data_of_then(later: Recs, model: str) -> None:
    told = later("retrain", model, "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    rows = json.loads(told.stdout)
    assert rows
    assert all(row["registered"] == row["again"] for row in rows)


def test_where_the_data_of_then_is_gone_the_command_says_so(later: Recs) -> None:
    shutil.rmtree(later.lake / "silver/people")
    told = later("retrain", "products")
    assert told.returncode == 2
    assert "cannot be trained again" in " ".join(told.stderr.split())
