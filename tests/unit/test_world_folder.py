"""The sample world as a whole: the same bytes every time, and its place on disk."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_contracts.errors import InputError
from infra.local.world import generate
from infra.local.world.make import make_world
from infra.local.world.plan import Plan
from tests.unit.world_samples import DAYS, USERS, D, digests, make


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "sample"
    make(out, users=USERS, days=DAYS)
    return out


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two", seed=8)
    one, two = digests(tmp_path / "one"), digests(tmp_path / "two")
    same = {name for name in one.keys() & two.keys() if one[name] == two[name]}
    says_something = {name for name in same if not name.startswith("reference") and not name.endswith("/_SUCCESS")}
    assert all(pq.read_metadata(tmp_path / "one" / name).num_rows == 0 for name in says_something)


def test_several_processes_give_the_bytes_of_one(tmp_path: Path) -> None:
    plan = Plan(users=60, days=4, seed=7, last_date=D, horizon_days=7)
    for processes in (1, 2):
        make_world(tmp_path / str(processes), plan, processes=processes)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_horizon_changes_nothing_but_the_truth(tmp_path: Path) -> None:
    make(tmp_path / "week", horizon_days=7)
    make(tmp_path / "month", horizon_days=30)
    week, month = digests(tmp_path / "week"), digests(tmp_path / "month")
    assert {name for name in week if week[name] != month[name]} == {"world.json", "truth/product_probability.parquet"}


def test_a_world_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    made = make(tmp_path / "w")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*")}
    found = make(tmp_path / "w")
    assert (made.made, found.made) == (True, False)
    assert found.rows == made.rows
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*")}


def test_a_folder_with_another_world_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "w")
    with pytest.raises(InputError, match="another sample world"):
        make(tmp_path / "w", seed=8)


def test_a_folder_with_anything_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds no sample world"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    assert make(tmp_path / "w").made


def test_an_interrupted_world_leaves_nothing(tmp_path: Path) -> None:
    def stop(what: str, share: float) -> None:
        if what == "days":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "w", users=60, days=3, seed=1, last_date=D, horizon_days=7, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"users": 0}, {"days": 0}, {"horizon_days": 0}, {"seed": -1}, {"days": 3000}])
def test_sizes_that_make_no_world_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        make(tmp_path / "w", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_one_user_and_one_day_make_a_world(tmp_path: Path) -> None:
    assert make(tmp_path / "w", users=1, days=1).made


def test_the_note_says_what_the_world_is(world: Path) -> None:
    note = json.loads((world / "world.json").read_text())
    assert (note["users"], note["days"], note["seed"], note["horizon_days"]) == (USERS, DAYS, 7, 7)
    assert (note["first_day"], note["date"]) == ("2026-03-04", "2026-03-16")
