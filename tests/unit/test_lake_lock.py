"""Two nights never write to one lake at the same time."""

import subprocess
import sys
from pathlib import Path

import pytest

from dagster_project.lake_lock import lake_lock
from data_contracts.errors import BusyError


def test_a_second_night_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    with lake_lock(str(tmp_path)), pytest.raises(BusyError, match="another night"), lake_lock(str(tmp_path)):
        pass


def test_the_lake_is_free_again_after_a_night(tmp_path: Path) -> None:
    with lake_lock(str(tmp_path)):
        pass
    with lake_lock(str(tmp_path)) as descriptor:
        assert descriptor > 0


def test_an_orphaned_job_of_a_killed_night_keeps_the_lake_locked(tmp_path: Path) -> None:
    with lake_lock(str(tmp_path)) as descriptor:
        orphan = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(descriptor,)
        )
    try:
        with pytest.raises(BusyError), lake_lock(str(tmp_path)):
            pass
    finally:
        orphan.communicate()
    with lake_lock(str(tmp_path)):
        pass
