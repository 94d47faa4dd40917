"""`backtest_files`: the protocol on anybody's interactions, and what it says of files it cannot use."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import InputError
from spark_jobs.evaluation.files import FILE_RETRIEVAL, backtest_files

SMALL = FILE_RETRIEVAL.model_copy(update={"als_factors": 2, "als_regularization": 0.1})
SOURCES = {"popular", "repeat", "als", "itemcf", "blend"}


def written(folder: Path, name: str, **columns: Any) -> str:
    path = folder / f"{name}.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two tastes of 20 users and 10 items each; every user's last item is the test."""
    draws = np.random.default_rng(1)
    train, test = [], []
    for user in range(40):
        items = draws.permutation(10)[:7] + 10 * (user % 2)
        train += [(user, int(item)) for item in items[:6]]
        test += [(user, int(items[6]))]
    return (
        written(tmp_path, "train", user_id=[user for user, _ in train], item_id=[item for _, item in train]),
        written(tmp_path, "test", user_id=[user for user, _ in test], item_id=[item for _, item in test]),
    )


def test_every_source_is_measured_at_k(files: tuple[str, str]) -> None:
    report = backtest_files(*files, k=4, retrieval=SMALL)
    assert set(report) == SOURCES
    expected = {"precision@4", "recall@4", "ndcg@4", "map@4", "hit_rate@4", "simulated_ctr@4"}
    assert all(set(metrics) == expected for metrics in report.values())
    assert report["repeat"]["recall@4"][0] == 0  # nobody meets an item twice here


def test_seen_items_are_masked_when_asked_for(files: tuple[str, str]) -> None:
    """Four unseen items of one's own taste are left, one of them right: a source that knows tastes finds it in four."""
    masked = backtest_files(*files, k=4, exclude_seen=True, retrieval=SMALL)
    assert masked["als"]["recall@4"][0] == 1
    assert masked["itemcf"]["recall@4"][0] == 1
    plain = backtest_files(*files, k=4, retrieval=SMALL)
    assert plain["als"]["recall@4"][0] < 0.5


def test_popular_is_by_plain_counts(tmp_path: Path) -> None:
    train = written(tmp_path, "train", user_id=[1, 2, 3, 1, 2, 1], item_id=["a", "a", "a", "b", "b", "c"])
    test = written(tmp_path, "test", user_id=[4, 5], item_id=["a", "c"])
    assert backtest_files(train, test, k=1, retrieval=SMALL)["popular"]["recall@1"][0] == 0.5


def test_times_and_weights_are_read_where_they_are(tmp_path: Path) -> None:
    train = written(
        tmp_path,
        "train",
        user_id=[1, 2, 3],
        item_id=[10, 20, 20],
        timestamp=pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
        weight=[5.0, 1.0, 1.0],
    )
    test = written(tmp_path, "test", user_id=[9], item_id=[10])
    assert backtest_files(train, test, k=1, retrieval=SMALL)["popular"]["recall@1"][0] == 1


def test_the_same_seed_gives_the_same_figures(files: tuple[str, str]) -> None:
    assert backtest_files(*files, k=4, retrieval=SMALL) == backtest_files(*files, k=4, retrieval=SMALL)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": [1]}, "1 rows without column item_id"),
        ({"user_id": ["a"], "item_id": [1]}, "1 rows whose user_id is"),
        ({"user_id": [1, 2], "item_id": ["a", None]}, "never null"),
        ({"user_id": np.empty(0, np.int64), "item_id": np.empty(0, np.int64)}, "0 rows"),
    ],
)
def test_a_file_off_its_contract_is_refused(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    good = written(tmp_path, "good", user_id=[1], item_id=[1])
    with pytest.raises(InputError, match=message):
        backtest_files(written(tmp_path, "bad", **columns), good, retrieval=SMALL)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    good = written(tmp_path, "good", user_id=[1], item_id=[1])
    with pytest.raises(InputError, match=r"nowhere\.parquet: no such file"):
        backtest_files(good, str(tmp_path / "nowhere.parquet"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(InputError, match=r"broken\.parquet: not a readable"):
        backtest_files(str(tmp_path / "broken.parquet"), good)
