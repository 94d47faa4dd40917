"""What a night's features are held against, and so which past as-ofs a night makes."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.manifest import MANIFEST_FILE, GateVerdict, Manifest
from data_contracts.models import Aliases, ModelVersion
from data_contracts.night import NightParams, Sources, Train, parse_snapshot_id
from spark_jobs.lake.files import write_bytes
from spark_jobs.lifecycle.files import remember
from spark_jobs.lifecycle.learned import good_nights, learned_as_of

NIGHT = date(2026, 3, 20)


def champion(*, days_ago: int) -> ModelVersion:
    as_of = NIGHT - timedelta(days=days_ago)
    return ModelVersion(name="products", as_of=as_of, uri="", files={}, features=(), contracts={}, settings={})


def told(folder: Path, *, champion_days_ago: int | None, trained_days_ago: int, train: Train = "auto") -> date:
    lake = str(folder)
    one = None if champion_days_ago is None else champion(days_ago=champion_days_ago)
    remember(lake, {"products": Aliases(champion=one, last_trained=NIGHT - timedelta(days=trained_days_ago))})
    return learned_as_of(
        NightParams(as_of=NIGHT, lake=lake, sources=Sources(tecd="unread"), registry="sqlite:///unread", train=train)
    )


def test_a_night_that_scores_with_its_champion_looks_at_what_the_champion_learned_from(tmp_path: Path) -> None:
    assert told(tmp_path, champion_days_ago=3, trained_days_ago=2) == NIGHT - timedelta(days=3)
    assert told(tmp_path, champion_days_ago=30, trained_days_ago=30, train="never") == NIGHT - timedelta(days=30)


@pytest.mark.parametrize(
    ("champion_days_ago", "trained_days_ago", "train"),
    [(9, 7, "auto"), (3, 2, "always"), (None, 2, "auto"), (-1, -1, "auto"), (-1, -1, "never")],
    ids=["due", "asked to", "no champion", "champion from later", "champion from later, none wanted"],
)
def test_a_night_that_trains_looks_at_its_own_windows(
    tmp_path: Path, champion_days_ago: int | None, trained_days_ago: int, train: Train
) -> None:
    trained = told(tmp_path, champion_days_ago=champion_days_ago, trained_days_ago=trained_days_ago, train=train)
    assert trained == NIGHT


def test_without_a_registry_every_night_trains(tmp_path: Path) -> None:
    remember(str(tmp_path), {"products": Aliases(champion=champion(days_ago=1), last_trained=NIGHT)})
    assert learned_as_of(NightParams(as_of=NIGHT, lake=str(tmp_path), sources=Sources(tecd="unread"))) == NIGHT


def sealed(lake: Path, snapshot_id: str, *, passed: bool) -> None:
    as_of, _ = parse_snapshot_id(snapshot_id)
    moment = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    manifest = Manifest(
        snapshot_id=snapshot_id,
        as_of=as_of,
        cut_off=moment,
        created_at=moment,
        tables={},
        gate=GateVerdict(passed=passed),
    )
    write_bytes(f"{lake}/snapshots/{snapshot_id}/{MANIFEST_FILE}", manifest.to_json().encode())


def good(lake: Path) -> tuple[date, ...]:
    return good_nights(NightParams(as_of=NIGHT, lake=str(lake), sources=Sources(tecd="unread")))


def test_a_night_is_held_against_the_last_one_that_the_gate_let_through_however_many_were_stopped_since(
    tmp_path: Path,
) -> None:
    yesterday = NIGHT - timedelta(days=1)
    assert good(tmp_path) == (yesterday,)
    sealed(tmp_path, "2026-03-16.1", passed=True)
    for stopped in ("2026-03-17.1", "2026-03-18.1", "2026-03-19.1"):
        sealed(tmp_path, stopped, passed=False)
    sealed(tmp_path, "2026-03-20.1", passed=True)
    assert good(tmp_path) == (date(2026, 3, 16), yesterday)
    sealed(tmp_path, "2026-03-19.2", passed=True)
    assert good(tmp_path) == (yesterday,)
