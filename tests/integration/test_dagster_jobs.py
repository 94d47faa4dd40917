"""Jobs under Dagster: what is tried again and what is not, what is shown, and that no process outlives its job."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster_pipes import PipesDefaultMessageWriter

from dagster_project.assets import ingest
from dagster_project.definitions import build_defs, night_assets
from dagster_project.failures import failure
from dagster_project.host import JobHost
from dagster_project.job_assets import LAKE_POOL
from dagster_project.partitions import nights
from dagster_project.pipes import WholeMessages
from dagster_project.processes import end_session, measured, program, session_members
from data_contracts.errors import InputError
from data_contracts.night import NightParams, Sources
from data_contracts.settings import Settings
from data_contracts.tables import contract, table_names
from infra.night import dagster_home
from tests.integration.dagster_fakes import QUIET, FakeRunner, settings_in

_INTERACTIONS = dg.AssetKey(["silver", "interactions"])
# A child in a process group of its own that ignores polite signals, as a busy Python worker of Spark may.
_CHILD = (
    "import os, signal, time; os.setpgid(0, 0); signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(99)"
)
_JOB = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
    "block = bytearray(b'x') * 60_000_000; time.sleep(99)"
)

_RUN = (
    "import sys; from pathlib import Path; from dagster_project.host import JobHost; folder = Path(sys.argv[1]); "
    "host = JobHost(lake=str(folder), log=folder / 'killed.log', lock=None); "
    "host.run('maintenance', '{}', variables={}, log=folder / 'slow' / 'log')"
)


def run_ingest(folder: Path, runner: FakeRunner, *, day: str = "2026-03-15", instance: Any = None) -> Any:
    settings = settings_in(folder)
    return dg.materialize(
        ingest.build(nights(settings)),
        partition_key=day,
        resources={"settings": settings, "spark_runner": runner},
        instance=instance or dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        run_config=QUIET,
    )


@pytest.mark.parametrize("code", [4, 5, -9])
def test_what_may_pass_is_tried_again(tmp_path: Path, code: int) -> None:
    runner = FakeRunner(failures=[failure("busy", exit_code=code)] * 2)
    assert run_ingest(tmp_path, runner).success
    assert len(runner.ran) == 3


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_will_not_pass_is_not_tried_again(tmp_path: Path, code: int) -> None:
    runner = FakeRunner(failures=[failure("wrong", exit_code=code)])
    assert not run_ingest(tmp_path, runner).success
    assert len(runner.ran) == 1


def test_retries_end_and_the_failure_keeps_its_words_and_code(tmp_path: Path) -> None:
    runner = FakeRunner(failures=[failure("ClickHouse does not answer", exit_code=5)] * 9)
    ended = run_ingest(tmp_path, runner)
    (failed,) = [event for event in ended.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert (told.description, told.metadata["exit_code"].value) == ("ClickHouse does not answer", 5)
    assert len(runner.ran) == 1 + Settings().max_retries


def test_a_materialisation_shows_what_was_read_written_and_thrown_out(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for day in ("2026-03-15", "2026-03-16"):
            ended = run_ingest(tmp_path, FakeRunner(), day=day, instance=instance)
        (made,) = ended.asset_materializations_for_node("ingest_job")[1:2]
    assert made.asset_key == _INTERACTIONS
    shown = {name: value.value for name, value in made.metadata.items()}
    assert (shown["rows"], shown["read"], shown["quarantined"], shown["job_peak_mb"]) == (3, 5, 2, 10)
    assert made.metadata["quarantine_reasons"].records[0].data == {"reason": "unknown action_type", "rows": 2}
    assert "2026-03-15: 3, 2026-03-16: 3" in shown["rows_of_last_nights"]
    assert shown["dagster/uri"].endswith("lake/silver/interactions")


def test_every_asset_of_a_table_says_what_its_contract_says() -> None:
    specs = {spec.key.to_user_string(): spec for asset in night_assets(Settings()) for spec in asset.specs}
    tables = {name: name.replace("/", ".") for name in specs if name.replace("/", ".") in table_names()}
    assert len(tables) > 10
    for name, table in tables.items():
        promised, spec = contract(table), specs[name]
        assert spec.owners == [f"team:{promised.owner}"]
        assert spec.freshness_policy == dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=promised.freshness_hours)
        )
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == list(promised.column_names)
        assert promised.grain in str(spec.description)
        assert spec.metadata["contract"].path.endswith(f"{table}.yaml")
        assert {"spark", "deltalake"} <= spec.kinds


def test_one_run_at_a_time_writes_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers = [asset for asset in night_assets(Settings()) if asset.op.name != "publish"]
    assert {asset.op.pool for asset in writers} == {LAKE_POOL}
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(Settings(data_dir=tmp_path))))
    with dg.DagsterInstance.get() as instance:
        pools = instance.get_concurrency_config().pool_config
        assert pools.default_pool_limit == 1
        assert str(pools.pool_granularity.value) == "run"


def test_every_process_of_a_job_ends_with_it_and_its_memory_is_counted() -> None:
    job = subprocess.Popen([sys.executable, "-c", _JOB, _CHILD], start_new_session=True, stdout=subprocess.PIPE)
    assert job.stdout is not None
    job.stdout.readline()
    with measured(job.pid) as memory:
        deadline = time.monotonic() + 20
        while memory.total_mb < 60 and time.monotonic() < deadline:
            time.sleep(0.1)
        members = session_members(job.pid)
    assert len(members) == 2
    assert memory.total_mb > 60
    end_session(job.pid, patience_seconds=0.5)
    job.wait()
    assert session_members(job.pid) == []


def test_the_jobs_of_a_run_share_a_host_and_its_jvm_which_end_with_one_that_fails(tmp_path: Path) -> None:
    host = JobHost(lake=str(tmp_path), log=tmp_path / "host.log", lock=None)
    params = NightParams(as_of=date(2026, 3, 16), lake=str(tmp_path), sources=Sources(reference="unread"))
    jvms = set()
    for log in (tmp_path / "first.log", tmp_path / "second.log"):
        code, memory = host.run("maintenance", params.model_dump_json(), variables={}, log=log)
        assert code == 0
        assert '"tables_looked_at": 0' in log.read_text()
        assert memory.total_mb > memory.jvm_mb > 0
        assert host.pid is not None
        jvms |= {member.pid for member in session_members(host.pid) if program(member) == "java"}
    assert len(jvms) == 1
    leader = host.pid
    code, _ = host.run("ingest", "{}", variables={}, log=tmp_path / "failed.log")
    assert code == InputError.exit_code
    assert "as_of: Field required" in (tmp_path / "failed.log").read_text()
    assert (host.pid, session_members(leader)) == (None, [])  # no job comes after one that failed


def test_a_host_dies_with_a_run_that_was_killed_and_so_does_its_job(tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    os.mkfifo(tmp_path / "slow" / "log")  # nobody reads it: the job waits as it opens its log
    run = subprocess.Popen([sys.executable, "-c", _RUN, str(tmp_path)], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (processes := _of_lake(tmp_path)) or len(processes) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.kill()
    run.wait()
    while _of_lake(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _of_lake(tmp_path) == []


def _of_lake(folder: Path) -> list[psutil.Process]:
    """The host of a lake and its job, which was forked from it; no JVM."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if words[-2:] == ["spark_jobs.jobs.host", str(folder)] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_a_line_that_a_killed_job_left_half_written_is_no_message() -> None:
    heard: list[Any] = []
    handler = SimpleNamespace(handle_message=heard.append)
    with WholeMessages().read_messages(handler) as params:  # type: ignore[arg-type]
        Path(str(params[PipesDefaultMessageWriter.FILE_PATH_KEY])).write_text('{"method": "log"}\n{"method": "rep')
    assert heard == [{"method": "log"}]


def test_the_graph_names_its_jobs_schedule_and_sensors() -> None:
    defs = build_defs(Settings())
    assert {job.name for job in defs.jobs or ()} == {"night", "repair", "upkeep", "backfill"}
    assert {sensor.name for sensor in defs.sensors or ()} == {"exports_arrived", "tell_of_failures"}


def test_a_night_does_not_wait_for_upkeep() -> None:
    """Upkeep is a job of its own, after the night is out."""
    defs = build_defs(Settings())
    upkeep = defs.resolve_job_def("upkeep").asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in upkeep} == {"lake/maintenance", "lake/old_snapshots"}
    for job in ("night", "repair"):
        assert not upkeep & defs.resolve_job_def(job).asset_layer.executable_asset_keys
