"""Old snapshots go with their reports and models; what is served, finished last or still written stays."""

from pathlib import Path

from dagster_project.old_folders import Folder, old_snapshots, remove_old


def _finished(*names: str) -> list[Folder]:
    return [Folder(name, is_finished=True) for name in names]


def test_the_newest_stay_and_attempts_are_ordered_as_numbers() -> None:
    folders = _finished("2026-03-15.2", "2026-03-15.10", "2026-03-14.1", "2026-03-16.1")
    assert old_snapshots(folders, keep=2, needed=()) == ("2026-03-14.1", "2026-03-15.2")


def test_what_is_served_stays_however_old() -> None:
    folders = _finished("2026-03-14.1", "2026-03-15.1", "2026-03-16.1")
    assert old_snapshots(folders, keep=1, needed=["2026-03-14.1"]) == ("2026-03-15.1",)


def test_a_killed_attempt_goes_and_one_that_may_still_be_written_stays() -> None:
    folders = [*_finished("2026-03-15.2"), Folder("2026-03-15.1", False), Folder("2026-03-16.1", False)]
    assert old_snapshots(folders, keep=1, needed=()) == ("2026-03-15.1",)


def test_nothing_goes_while_nothing_is_finished() -> None:
    assert old_snapshots([Folder("2026-03-15.1", False)], keep=2, needed=()) == ()


def test_folders_are_removed_with_reports_and_models_and_the_rest_of_the_lake_is_left(tmp_path: Path) -> None:
    for day in (14, 15, 16):
        for path in (
            f"snapshots/2026-03-{day}.1/manifest.json",
            f"reports/2026-03-{day}.1/r.html",
            f"models/2026-03-{day}/m",
        ):
            (tmp_path / path).parent.mkdir(parents=True)
            (tmp_path / path).write_text("12345")
    (tmp_path / "reports" / "erasures").mkdir()
    (tmp_path / "snapshots" / "notes").mkdir()
    removed = remove_old(str(tmp_path), keep=1, needed=["2026-03-15.1"])
    assert (removed.snapshots, removed.models, removed.bytes) == (("2026-03-14.1",), ("2026-03-14",), 15)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")}
    assert left == {
        *(f"{kind}/2026-03-{day}.1" for day in (15, 16) for kind in ("snapshots", "reports")),
        *("models/2026-03-15", "models/2026-03-16", "reports/erasures", "snapshots/notes"),
    }
    assert remove_old(str(tmp_path), keep=1, needed=["2026-03-15.1"]).bytes == 0
