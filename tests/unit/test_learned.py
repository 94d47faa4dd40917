"""Which training a night's features are held against, and so which past as-ofs a night makes."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from data_contracts.models import Aliases, ModelVersion
from data_contracts.night import NightParams, Sources, Train
from spark_jobs.lifecycle.files import remember
from spark_jobs.lifecycle.learned import learned_as_of

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
