"""A night waits for exactly what its sources deliver, and says what is missing."""

from datetime import date
from pathlib import Path

import pytest

from dagster_project.arrivals import not_arrived
from data_contracts.settings import Settings

_AS_OF = date(2026, 3, 16)
_FILES = (
    "tecd/marketplace/events/01296.pq",
    "dwh/customers/dt=2026-03-16/part-0.parquet",
    "dwh/customers/dt=2026-03-16/_SUCCESS",
    "dwh/holdings/dt=2026-03-16/manifest.json",
    "events/bank.transactions/2026-03-15/23/part-0.avro",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in _FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    roots = {name: str(tmp_path / name) for name in ("tecd", "dwh", "events")}
    return Settings(**roots)  # type: ignore[arg-type]


def test_nothing_is_missing_when_all_that_was_ever_delivered_is_there(settings: Settings) -> None:
    assert not_arrived(settings, _AS_OF) == []


@pytest.mark.parametrize("name", [name for name in _FILES if not name.endswith(".parquet")])
def test_each_delivery_is_waited_for(settings: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / name).unlink()
    (missing,) = not_arrived(settings, _AS_OF)
    assert missing.startswith(str(tmp_path / "/".join(name.split("/")[:2])))


def test_an_export_without_its_marker_is_not_ready(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "dwh/customers/dt=2026-03-16/_SUCCESS").unlink()
    (missing,) = not_arrived(settings, _AS_OF)
    assert "customers/dt=2026-03-16: no _SUCCESS or manifest yet" in missing


def test_yesterdays_deliveries_do_not_start_the_next_night(settings: Settings) -> None:
    assert len(not_arrived(settings, date(2026, 3, 17))) == 4


def test_a_missing_root_is_told_with_what_was_expected_there(settings: Settings, tmp_path: Path) -> None:
    gone = settings.model_copy(update={"dwh": str(tmp_path / "nowhere")})
    (missing,) = not_arrived(gone, _AS_OF)
    assert "nothing of source dwh here; expected one of customers" in missing


def test_without_any_source_nothing_ever_arrives() -> None:
    assert not_arrived(Settings(tecd=None, dwh=None, events=None), _AS_OF)


def test_an_empty_folder_of_a_day_of_events_has_not_arrived(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "events/bank.transactions/2026-03-15/23/part-0.avro").unlink()
    (missing,) = not_arrived(settings, _AS_OF)
    assert "nothing of 2026-03-15 yet" in missing
