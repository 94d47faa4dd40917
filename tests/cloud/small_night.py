"""A night of two jobs and a publication that is a line in a file, on the runner of the settings: small enough to be
run with every fault. As a program: `python -m tests.cloud.small_night SETTINGS.json RUN_ID`.
"""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import dagster as dg
from yandex.cloud.dataproc.v1.job_pb2 import Job

from dagster_project.assets import features, ingest
from dagster_project.dataproc.runner import DataprocSparkRunner
from dagster_project.files import read_bytes, write_bytes
from dagster_project.partitions import nights
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from tests.integration.dagster_fakes import QUIET, FakeRunner

DAY = "2026-03-15"


def run_small_night(settings: Settings, run_id: str) -> Any:
    partitions = nights(settings)

    @dg.asset(deps=[dg.AssetKey(["gold", "user_features"])], partitions_def=partitions)
    def published() -> None:
        with (settings.data_dir / "published").open("a") as file:
            file.write("once\n")

    assets = [*ingest.build(partitions), *features.build(partitions), published]
    with DataprocSparkRunner.running(settings) as runner:
        job = dg.Definitions(
            assets=assets,
            jobs=[dg.define_asset_job("small", selection=dg.AssetSelection.all())],
            resources={"settings": settings, "spark_runner": runner},
            executor=dg.in_process_executor,
        ).resolve_job_def("small")
        with dg.DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(
                partition_key=DAY, run_id=run_id, instance=instance, raise_on_error=False, run_config=QUIET
            )


def do_nothing_and_report(job: Job, log: Path, stop: threading.Event) -> bool:
    """A job that says what it was asked to, as a cluster's job would through Pipes."""
    log.write_text(f"running {job.name}\n" + "x" * 1500 + "\nthe end\n")
    if stop.is_set():
        return False
    request = json.loads(read_bytes(job.pyspark_job.file_uris[0]))
    params = NightParams.model_validate_json(request["params"])
    context: Any = None
    report = FakeRunner().run(context, job=request["job"], params=params)
    lines = [
        {"__dagster_pipes_version": "0.1", "method": "opened", "params": {"extras": {}}},
        {
            "__dagster_pipes_version": "0.1",
            "method": "report_custom_message",
            "params": {"payload": {"report": report}},
        },
        {"__dagster_pipes_version": "0.1", "method": "closed", "params": {}},
    ]
    write_bytes(request["messages"], "".join(json.dumps(line) + "\n" for line in lines).encode())
    return not stop.is_set()


def failed_with(ended: Any) -> tuple[int, str]:
    """Exit code and words of the step that stopped the night."""
    (failed,) = [event for event in ended.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None, failed.step_failure_data.error
    return int(str(told.metadata["exit_code"].value)), str(told.description)


def published(settings: Settings) -> int:
    path = settings.data_dir / "published"
    return len(path.read_text().splitlines()) if path.exists() else 0


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    sys.exit(0 if run_small_night(Settings(**given), sys.argv[2]).success else 1)
