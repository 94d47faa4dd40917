"""`backtest_files`: the protocol on anybody's interactions, and what it says of files it cannot use."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import InputError
from spark_jobs.candidates.base import Candidates
from spark_jobs.evaluation.files import FILE_RETRIEVAL, backtest_files, hold_out
from spark_jobs.evaluation.fusion import learned_weights
from spark_jobs.evaluation.metrics import Relevant

SMALL = FILE_RETRIEVAL.model_copy(update={"als_factors": 2, "als_regularization": 0.1})
SOURCES = {"popular", "repeat", "als", "itemcf", "blend", "fused"}


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
    report = backtest_files(*files, k=4, retrieval=SMALL).means()
    assert set(report) == SOURCES
    expected = {"precision@4", "recall@4", "ndcg@4", "map@4", "hit_rate@4", "simulated_ctr@4"}
    assert all(set(metrics) == expected for metrics in report.values())
    assert report["repeat"]["recall@4"][0] == 0  # nobody meets an item twice here


def test_seen_items_are_masked_when_asked_for(files: tuple[str, str]) -> None:
    """Four unseen items of one's own taste are left, one of them right: a source that knows tastes finds it in four."""
    masked = backtest_files(*files, k=4, exclude_seen=True, retrieval=SMALL).means()
    assert masked["als"]["recall@4"][0] == 1
    assert masked["itemcf"]["recall@4"][0] == 1
    plain = backtest_files(*files, k=4, retrieval=SMALL).means()
    assert plain["als"]["recall@4"][0] < 0.5


def test_popular_is_by_plain_counts(tmp_path: Path) -> None:
    train = written(tmp_path, "train", user_id=[1, 2, 3, 1, 2, 1], item_id=["a", "a", "a", "b", "b", "c"])
    test = written(tmp_path, "test", user_id=[4, 5], item_id=["a", "c"])
    assert backtest_files(train, test, k=1, retrieval=SMALL).means()["popular"]["recall@1"][0] == 0.5


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
    assert backtest_files(train, test, k=1, retrieval=SMALL).means()["popular"]["recall@1"][0] == 1


def test_the_same_seed_gives_the_same_figures(files: tuple[str, str]) -> None:
    first, second = (backtest_files(*files, k=4, retrieval=SMALL).means() for _ in range(2))
    assert first == second


def test_without_a_test_the_last_of_train_is_held_out(tmp_path: Path) -> None:
    """Both meet 30 last; only who met something else before is tested."""
    times = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02", "2024-01-01"])
    train = written(tmp_path, "train", user_id=[1, 1, 2, 3], item_id=[30, 10, 30, 20], timestamp=times)
    report = backtest_files(train, k=3, retrieval=SMALL)
    assert report.sizes.tolist() == [1]
    assert report.means()["popular"]["recall@3"][0] == 1


def test_ties_in_time_are_drawn_and_the_same_for_a_seed() -> None:
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(50), 4), "item_id": np.tile(np.arange(4), 50)})
    rest, held = hold_out(frame, seed=1)
    assert sorted(held["user_id"]) == list(range(50)) and len(rest) == 150
    assert set(held["item_id"]) == {0, 1, 2, 3}
    assert held.equals(hold_out(frame, seed=1)[1]) and not held.equals(hold_out(frame, seed=2)[1])


@pytest.mark.parametrize(("share", "held"), [(0.0, [1, 1, 0]), (0.2, [2, 1, 0]), (0.5, [5, 1, 0]), (1.0, [9, 1, 0])])
def test_a_share_of_each_history_is_held_out_and_one_row_stays(share: float, held: list[int]) -> None:
    """Of histories of 10, 2 and 1 rows, the last by time."""
    frame = pd.DataFrame({"user_id": np.repeat([1, 2, 3], [10, 2, 1]), "item_id": 7, "timestamp": np.arange(13)})
    rest, last = hold_out(frame, seed=1, share=share)
    assert [int((last["user_id"] == user).sum()) for user in (1, 2, 3)] == held
    assert rest.groupby("user_id")["timestamp"].max().lt(last.groupby("user_id")["timestamp"].min())[[1, 2]].all()


def test_nothing_can_be_held_out_of_one_row_a_user() -> None:
    with pytest.raises(InputError, match="2 rows, one a user"):
        hold_out(pd.DataFrame({"user_id": [1, 2], "item_id": [5, 5]}), seed=1)


def test_users_choose_among_their_candidates(tmp_path: Path) -> None:
    """By popularity a > b > c > d. User 8 met c and chooses from d as well: c is first; user 9's d is behind a."""
    train = written(tmp_path, "train", user_id=[1, 2, 3, 4, 1, 2, 3, 1, 2, 1], item_id=list("aaaabbbccd"))
    test = written(tmp_path, "test", user_id=[8, 9], item_id=["c", "d"])
    among = written(tmp_path, "among", user_id=[8, 9], item_id=["d", "a"])
    report = backtest_files(train, test, candidates=among, k=1, retrieval=SMALL)
    assert report.figures["popular"]["hit_rate@1"][0].tolist() == [1, 0]
    assert backtest_files(train, test, k=1, retrieval=SMALL).figures["popular"]["hit_rate@1"][0].tolist() == [0, 0]


def test_candidates_are_ranked_however_far_down_they_are(tmp_path: Path) -> None:
    """400 items are more popular than the two that are chosen among, more than any list is long."""
    rows = [*((user, item) for user in range(3) for item in range(400)), (0, 401), (1, 401), (0, 402)]
    users, items = zip(*rows, strict=True)
    train = written(tmp_path, "train", user_id=users, item_id=items)
    test = written(tmp_path, "test", user_id=[9], item_id=[401])
    among = written(tmp_path, "among", user_id=[9], item_id=[402])
    report = backtest_files(train, test, candidates=among, k=1, exclude_seen=True, retrieval=SMALL)
    assert report.means()["popular"]["hit_rate@1"][0] == 1


def test_tested_users_without_candidates_are_counted_and_refused(tmp_path: Path) -> None:
    train = written(tmp_path, "train", user_id=[1, 1, 2], item_id=["a", "b", "a"])
    test = written(tmp_path, "test", user_id=[1, 2], item_id=["c", "b"])
    among = written(tmp_path, "among", user_id=[1, 1], item_id=["a", "b"])
    with pytest.raises(InputError, match="1 of 2 tested users have no candidates"):
        backtest_files(train, test, candidates=among, retrieval=SMALL)


def test_the_learned_fusion_beats_every_source_where_each_knows_a_part(tmp_path: Path) -> None:
    """Of two tastes popularity knows nothing, and of the five items that everybody meets tastes know little."""
    draws = np.random.default_rng(3)
    rows = [(user, 30 * (user % 2) + int(item)) for user in range(120) for item in draws.permutation(30)[:9]]
    rows += [(user, 120 + int(draws.integers(5))) for user in range(120) for _ in range(3)]
    users, items = zip(*dict.fromkeys(rows), strict=True)
    train = written(tmp_path, "train", user_id=users, item_id=items)
    apart = SMALL.model_copy(update={"neighbours_centred": False})  # centred neighbours know what is popular
    figures = backtest_files(train, k=10, exclude_seen=True, retrieval=apart).means()
    assert figures["fused"]["ndcg@10"][0] > max(figures[name]["ndcg@10"][0] for name in ("als", "itemcf", "popular"))


@pytest.mark.parametrize(("each", "share"), [(1, 0.0), (3, 1 / 3)])
def test_weights_are_learned_on_as_much_as_the_test_has(
    each: int, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody has six items in train, and one or three in test."""
    held = Mock(wraps=hold_out)
    monkeypatch.setattr("spark_jobs.evaluation.files.hold_out", held)
    items = np.concatenate([np.random.default_rng(user).permutation(12)[: 6 + each] for user in range(20)])
    is_test, users = np.arange(len(items)) % (6 + each) >= 6, np.repeat(np.arange(20), 6 + each)
    train = written(tmp_path, "train", user_id=users[~is_test], item_id=items[~is_test])
    test = written(tmp_path, "test", user_id=users[is_test], item_id=items[is_test])
    backtest_files(train, test, k=2, retrieval=SMALL)
    assert [call.kwargs["share"] for call in held.call_args_list] == [pytest.approx(share)]


def test_weights_are_those_of_the_list_that_is_right() -> None:
    """Of one list the first is always met, of the other never, and one is empty."""
    codes = np.arange(40, dtype=np.int32).reshape(20, 2)
    lists = [Candidates(given, np.zeros(given.shape, np.float32)) for given in (codes, codes[::-1], codes * 0 - 1)]
    met = Relevant.of(np.arange(20), codes[:, 0], n_users=20, n_items=40)
    right, wrong, empty = learned_weights(lists, met, k=1)
    assert right > wrong
    assert empty == 0


def test_some_list_always_has_a_weight() -> None:
    """What is met is first by code, and last on the only list that is not empty: no weights at all would find it."""
    codes = np.tile(np.array([1, 0], dtype=np.int32), (20, 1))
    lists = [Candidates(given, np.zeros(given.shape, np.float32)) for given in (codes, codes * 0 - 1)]
    met = Relevant.of(np.arange(20), np.zeros(20, np.int64), n_users=20, n_items=2)
    assert learned_weights(lists, met, k=1)[0] > 0


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
