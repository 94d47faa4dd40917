"""Attempts are numbered once: a retry goes on with its own, a new run takes the next."""

from datetime import date
from pathlib import Path

import pytest

from dagster_project.attempts import Attempts
from data_contracts.errors import InputError

_DAY = date(2026, 3, 15)


def test_each_run_takes_the_next_number(tmp_path: Path) -> None:
    attempts = Attempts(str(tmp_path))
    assert [attempts.claim(_DAY, run_id=run) for run in ("a", "b", "c")] == [1, 2, 3]


def test_a_retried_run_keeps_its_number(tmp_path: Path) -> None:
    attempts = Attempts(str(tmp_path))
    attempts.claim(_DAY, run_id="a")
    attempts.claim(_DAY, run_id="b")
    assert attempts.claim(_DAY, run_id="a") == 1


def test_dates_are_numbered_apart(tmp_path: Path) -> None:
    attempts = Attempts(str(tmp_path))
    attempts.claim(_DAY, run_id="a")
    assert attempts.claim(date(2026, 3, 16), run_id="a") == 1


def test_a_killed_attempt_without_its_note_still_counts(tmp_path: Path) -> None:
    (tmp_path / "snapshots" / "2026-03-15.4").mkdir(parents=True)
    attempts = Attempts(str(tmp_path))
    assert attempts.claim(_DAY, run_id="a") == 5
    assert attempts.latest(_DAY) == 5


def test_a_date_without_attempts_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="materialise its scoring first"):
        Attempts(str(tmp_path)).latest(_DAY)
