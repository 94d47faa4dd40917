"""One whole night by the real command through the cloud's path: deliveries, lake and snapshot in Object Storage, every
job submitted to a cluster, the snapshot read by ClickHouse with s3(), and the pointer moved. Its cluster is taken away
in the middle of a job's writes.
"""

import json
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import grpc
from yandex.cloud.dataproc.v1.job_pb2 import Job

from dagster_project.dataproc.runner import short
from infra.local.clickhouse.running import running_clickhouse
from infra.local.world import generate
from sql.client import Address, connected
from sql.pointer import MoveKind, moves
from sql.verify import loaded_counts
from tests.cloud.conftest import Starts, files_below, put_folder
from tests.cloud.container import run_in_container
from tests.cloud.fake_cloud import Cloud, Fault
from tests.e2e.nights import DAYS, HORIZON_DAYS, LAST_DATE, SEED, USERS, Recs

_JOBS = 7  # ingest, features, retrieval, ranking, scoring, seal, report
# The machine may be busy with more than this test, which is about other silences.
_PATIENT = {"poll_seconds": 0.5, "patience_seconds": 300, "call_seconds": 60, "start_minutes": 5}


@dataclass(frozen=True)
class CloudRecs(Recs):
    """The command `recs` with a cluster's runner and a lake in a bucket."""

    cloud: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        here = {name: value for name, value in super().environment.items() if name != "RECS_EXPERIMENTS"}
        given = {"RECS_SPARK_RUNNER": "dataproc", "RECS_DATAPROC_TOKEN": "token", "RECS_RETRY_SECONDS": "0.01"}
        return {**here, **self.cloud, **given}


def test_a_night_through_the_cloud_that_loses_its_cluster_half_way_is_published_once(
    start_cloud: Starts, bucket: str, jobs_bucket: str, tmp_path: Path
) -> None:
    cloud, settings = start_cloud(run_in_container, plan=_PATIENT)
    cloud.faults.append(Fault("Job.Create", grpc.StatusCode.UNAVAILABLE, nth=2, lost=True))
    cloud.on_running.append(partial(take_away_half_way, cloud, settings.lake_uri))
    generate(tmp_path / "world", users=USERS, days=DAYS, seed=SEED, last_date=LAST_DATE, horizon_days=HORIZON_DAYS)
    forget_old_hours(tmp_path / "world" / "events")
    put_folder(tmp_path / "world", f"s3a://{bucket}/world")
    with running_clickhouse(tmp_path / "clickhouse") as url:
        places = {
            "RECS_LAKE": settings.lake_uri,
            "RECS_DATAPROC": str(settings.dataproc),
            "RECS_MLFLOW_URL": f"{settings.mlflow_url}",
        }
        night = CloudRecs(tmp_path / "data", url, cloud=places)
        sources = [f"--{name}=s3a://{bucket}/world/{name}" for name in ("tecd", "dwh", "events", "reference")]
        ended = night("night", *sources, "--date", f"{LAST_DATE}", "--horizon-days", f"{HORIZON_DAYS}", "--json")
        logs = "".join(f"\n--- {log.name}\n{log.read_text()[-3000:]}" for log in cloud.folder.glob("*.log"))
        assert ended.returncode == 0, ended.stdout + ended.stderr + logs
        with connected(Address(url=url)) as store:
            assert [(move.action, move.snapshot_id) for move in moves(store)] == [(MoveKind.PUBLISH, f"{LAST_DATE}.1")]
            held = loaded_counts(store, table="lists", snapshot_id=f"{LAST_DATE}.1").rows
    told = json.loads(ended.stdout)
    assert told["manifest"]["tables"]["lists"]["rows"] == held > USERS // 2
    rows = {one["asset"]: one["rows"] for one in told["assets"]}
    assert min(rows[f"silver/{table}"] for table in ("interactions", "customers", "product_events", "catalogue")) > 0
    commit = "silver/interactions/_delta_log/00000000000000000000.json"
    assert any(name.endswith(commit) for name in files_below(settings.lake_uri))
    twice = sorted(name for name, times in cloud.created.items() if times == 2)
    of_lake = f"recs-{short(settings.lake_uri)}"
    assert twice[0] == of_lake and [name.split("-")[3] for name in twice[1:]] == ["features"], "what was taken away"
    assert len(cloud.created) == _JOBS + 1 and max(cloud.created.values()) == 2, "each other job once"
    assert cloud.clusters == {}
    assert not [name for name in files_below(f"s3a://{jobs_bucket}/recs/jobs") if f"{of_lake}-" in name], (
        "they hold keys"
    )
    kept = {name.rpartition("/")[2].rsplit("-", 1)[0] for name in files_below(f"s3a://{jobs_bucket}/recs/packages")}
    assert {"project", "environment", "submitted"} <= kept
    assert not list((tmp_path / "data").glob("lake/**/*")), "nothing of the lake lies here"


def take_away_half_way(cloud: Cloud, lake_uri: str, job: Job) -> None:
    """The first time, the cluster of the features job, once that has written a table and has others to write."""
    if "-features-" not in job.name or cloud.created[job.name] > 1:
        return

    def watch() -> None:
        while not any("user_behaviour/_delta_log" in name for name in files_below(f"{lake_uri}/gold")):
            time.sleep(0.5)
        cloud.preempt(job.cluster_id)

    threading.Thread(target=watch, daemon=True).start()


def forget_old_hours(events: Path) -> None:
    """All but the last day of two topics: each hour is a file, and each file costs a dozen requests."""
    for topic in ("bank.transactions", "digital.telemetry"):
        for day in (events / topic).iterdir():
            if date.fromisoformat(day.name) < LAST_DATE - timedelta(days=1):
                shutil.rmtree(day)
