"""A night on Data Proc whose Dagster is killed, cancelled or started twice: one job at a time, no cluster left."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from yandex.cloud.dataproc.v1.job_pb2 import Job

from dagster_project.dataproc.orphans import orphan_sensor
from data_contracts.settings import Settings
from tests.cloud.conftest import FOLDER, Starts
from tests.cloud.fake_cloud import Cloud
from tests.cloud.small_night import do_nothing_and_report, failed_with, published, run_small_night

RUN, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
TECD = "s3a://deliveries/tecd"
_PLAIN = ("data_dir", "lake", "mlflow_url", "spark_runner", "dataproc", "tecd")


class Held:
    """A job that waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, job: Job, log: Path, stop: threading.Event) -> bool:
        while not self.go.wait(0.05) and not stop.is_set():
            pass
        return do_nothing_and_report(job, log, stop)


def started(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    """The small night in a process of its own."""
    plain = {name: str(getattr(settings, name)) for name in _PLAIN}
    (folder / "settings.json").write_text(json.dumps({**plain, "dataproc_token": "token", "retry_seconds": 0.01}))
    command = [sys.executable, "-m", "tests.cloud.small_night", str(folder / "settings.json"), RUN]
    with (folder / "night.log").open("wb") as log:
        return subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=log, stderr=log, env=dict(os.environ))


def wait_for(what: Callable[[], Any], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.05)


def is_running(cloud: Cloud) -> bool:
    return any(job.status == Job.RUNNING for job in cloud.jobs.values())


def test_a_night_that_was_killed_goes_on_with_its_cluster_and_its_running_job(
    start_cloud: Starts, tmp_path: Path
) -> None:
    held = Held()
    cloud, settings = start_cloud(held, tecd=TECD)
    first = started(settings, tmp_path)
    wait_for(lambda: is_running(cloud))
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert len(cloud.clusters) == 1, "a killed process deletes nothing"
    held.go.set()
    ended = run_small_night(settings, RUN)
    assert ended.success, failed_with(ended)
    assert set(cloud.created.values()) == {1}, "nothing was made twice"
    assert (published(settings), cloud.clusters) == (1, {})


def test_a_cancelled_night_cancels_its_job_and_deletes_its_cluster(start_cloud: Starts, tmp_path: Path) -> None:
    cloud, settings = start_cloud(Held(), tecd=TECD)
    night = started(settings, tmp_path)
    wait_for(lambda: is_running(cloud))
    night.send_signal(signal.SIGINT)
    assert night.wait(60) != 0
    assert cloud.calls["Job.Cancel"] == 1
    assert {job.status for job in cloud.jobs.values()} == {Job.CANCELLED}
    assert (published(settings), cloud.clusters) == (0, {})


def test_another_night_waits_while_one_has_the_lake(start_cloud: Starts, tmp_path: Path) -> None:
    held = Held()
    cloud, settings = start_cloud(held, tecd=TECD)
    first = started(settings, tmp_path)
    wait_for(lambda: is_running(cloud))
    code, text = failed_with(run_small_night(settings, OTHER))
    assert (code, "has this lake" in text) == (4, True)
    held.go.set()
    assert first.wait(60) == 0
    assert (published(settings), cloud.clusters) == (1, {})


def test_a_standing_cluster_stays_and_takes_one_night_at_a_time(start_cloud: Starts) -> None:
    held = Held()
    held.go.set()
    cloud, settings = start_cloud(held, plan={"standing_cluster_id": "c-standing"}, tecd=TECD)
    standing = cloud.standing("c-standing", folder=FOLDER)
    assert run_small_night(settings, RUN).success
    assert list(cloud.clusters) == [standing]
    for job in list(cloud.jobs.values()):
        job.status = Job.RUNNING  # as if that night were still at work
    code, text = failed_with(run_small_night(settings, OTHER))
    assert (code, "works on this lake" in text) == (4, True)
    assert published(settings) == 1


def test_the_sensor_deletes_what_a_dead_night_left_once_it_has_been_dead_for_a_while(
    start_cloud: Starts, tmp_path: Path
) -> None:
    cloud, settings = start_cloud(Held(), tecd=TECD)
    night = started(settings, tmp_path)
    wait_for(lambda: is_running(cloud))
    night.kill()
    night.wait()
    cloud.standing("c-somebody-elses", folder=FOLDER)
    sensor = orphan_sensor(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensor(dg.build_sensor_context(instance=instance))
        assert len(cloud.clusters) == 2, "Dagster may start it again at once"
        later = {name: _earlier(moment) for name, moment in json.loads(first.cursor).items()}
        sensor(dg.build_sensor_context(instance=instance, cursor=json.dumps(later)))
    assert list(cloud.clusters) == ["c-somebody-elses"]


def _earlier(moment: str) -> str:
    return (datetime.fromisoformat(moment) - timedelta(hours=1)).isoformat()
