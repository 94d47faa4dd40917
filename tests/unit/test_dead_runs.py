"""Runs that a killed process left behind are closed, and no run that somebody elsewhere still works on."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, job, op

from infra import dagster_runs
from infra.dagster_runs import beating, close_dead_runs, process_tags

ELSEWHERE = {"recs/place": "recs-dagster-0 another-boot pid:[1]"}


@op
def nothing() -> None:
    pass


@job
def night() -> None:
    nothing()


@pytest.fixture
def instance() -> DagsterInstance:
    return DagsterInstance.ephemeral()


def started(instance: DagsterInstance, **tags: str) -> str:
    run_id = str(uuid.uuid4())
    instance.create_run_for_job(night, run_id=run_id, tags=tags, status=DagsterRunStatus.STARTED)
    return run_id


def tags_of_a_dead_process() -> dict[str, str]:
    code = "from infra.dagster_runs import process_tags; import json; print(json.dumps(process_tags()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tags: dict[str, str] = json.loads(told.stdout)
    return tags


def test_a_run_of_this_place_is_closed_when_its_process_is_gone_and_left_alone_while_it_lives(
    instance: DagsterInstance,
) -> None:
    dead, living = started(instance, **tags_of_a_dead_process()), started(instance, **process_tags())
    assert close_dead_runs(instance, untagged=False) == [dead]
    run = instance.get_run_by_id(living)
    assert run is not None and run.status == DagsterRunStatus.STARTED


def test_a_process_of_another_place_is_not_taken_for_the_one_here_that_has_its_number(
    instance: DagsterInstance,
) -> None:
    theirs = started(instance, **{**tags_of_a_dead_process(), **ELSEWHERE})
    same_number = started(instance, **{**process_tags(), **ELSEWHERE})
    assert close_dead_runs(instance, untagged=True) == [], "both were made just now"
    later = time.time() + 601
    assert set(close_dead_runs(instance, untagged=False, now=later)) == {theirs, same_number}


def test_a_run_elsewhere_stays_for_as_long_as_it_shows_that_it_lives(tmp_path: Path) -> None:
    # On disk: in memory SQLite refuses two threads that ask at once, whatever they would wait.
    instance = DagsterInstance.local_temp(str(tmp_path))
    run_id = started(instance, **{**process_tags(), **ELSEWHERE})
    later = time.time() + 601
    with beating(instance, run_id, seconds=0.01):
        key = f"recs/beat/{run_id}"
        while not instance.run_storage.get_cursor_values({key}):
            time.sleep(0.01)
    instance.run_storage.set_cursor_values({key: f"{later - 599:.0f}"})
    assert close_dead_runs(instance, untagged=True, now=later) == []
    assert close_dead_runs(instance, untagged=True, now=later + 2) == [run_id]


def test_a_run_that_was_tagged_before_there_were_places_is_of_this_one(instance: DagsterInstance) -> None:
    tags = tags_of_a_dead_process()
    assert close_dead_runs(instance, untagged=False) == []
    old = started(instance, **{"recs/process": tags["recs/process"]})
    assert close_dead_runs(instance, untagged=False) == [old]


def test_runs_of_the_ui_s_workers_are_closed_only_when_they_ended_with_it(instance: DagsterInstance) -> None:
    run_id = started(instance)
    assert close_dead_runs(instance, untagged=False) == []
    assert close_dead_runs(instance, untagged=True) == [run_id]


def test_a_place_is_one_container_of_one_host_since_its_start() -> None:
    host, boot, processes = dagster_runs.place().split(" ")
    assert host == os.uname().nodename
    assert len(boot) == 36 and processes.startswith("pid:[")
