"""A night starts once, when its exports are there; who must know is told when they are late and when a run fails."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.alerts import Alert, AlertKind
from dagster_project.definitions import NIGHT_JOB, build_defs
from dagster_project.failures import failure
from dagster_project.watch import alert_of_failure, exports_sensor
from data_contracts.errors import GateError, UnavailableError
from data_contracts.settings import Settings
from tests.integration.dagster_fakes import QUIET, FakeRunner, settings_in

# 23:30 UTC is half past two of the next day in Moscow.
_EARLY = datetime(2026, 3, 15, 23, 30, tzinfo=UTC)
_LATE = datetime(2026, 3, 16, 3, 0, tzinfo=UTC)


@dataclass
class FakeAlerts:
    sent: list[Alert] = field(default_factory=list)
    is_down: bool = False

    def send(self, alert: Alert) -> None:
        if self.is_down:
            raise UnavailableError("nobody there")
        self.sent.append(alert)


@dataclass
class Watch:
    """The sensor over a folder of exports, with an instance that remembers runs."""

    settings: Settings
    alerts: FakeAlerts
    instance: dg.DagsterInstance
    job: Any

    def look(self, now: datetime, *, cursor: str | None = None) -> Any:
        sensor = exports_sensor(self.job, self.settings, self.alerts, now=lambda: now)
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor, definitions=build_defs(self.settings))
        return sensor.evaluate_tick(context)

    def deliver(self) -> None:
        for name in ("dwh/customers/dt=2026-03-16/_SUCCESS", "events/bank.transactions/2026-03-15/23/p.avro"):
            path = self.settings.data_dir / name
            path.parent.mkdir(parents=True)
            path.touch()


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    settings = Settings(data_dir=tmp_path, dwh=str(tmp_path / "dwh"), events=str(tmp_path / "events"), tecd=None)
    (tmp_path / "dwh" / "customers").mkdir(parents=True)
    (tmp_path / "events" / "bank.transactions").mkdir(parents=True)
    night = next(job for job in build_defs(settings).jobs or () if job.name == NIGHT_JOB)
    return Watch(settings, FakeAlerts(), dg.DagsterInstance.ephemeral(), night)


def test_a_night_waits_for_its_exports_and_says_which(watch: Watch) -> None:
    tick = watch.look(_EARLY)
    assert not tick.run_requests
    assert "customers/dt=2026-03-16: not there yet" in str(tick.skip_message)
    assert not watch.alerts.sent


def test_a_night_starts_when_its_exports_are_there_and_may_publish(watch: Watch) -> None:
    watch.deliver()
    (request,) = watch.look(_EARLY).run_requests
    assert (request.partition_key, request.run_key) == ("2026-03-16", "2026-03-16")
    assert request.tags["recs/publish"] == "yes"


def test_a_night_that_was_started_by_anyone_is_not_started_again(watch: Watch) -> None:
    watch.deliver()
    watch.instance.create_run_for_job(
        build_defs(watch.settings).resolve_job_def(NIGHT_JOB), tags={"dagster/partition": "2026-03-16"}
    )
    tick = watch.look(_EARLY)
    assert not tick.run_requests
    assert "was started already" in str(tick.skip_message)


def test_exports_that_are_late_are_told_once_a_night(watch: Watch) -> None:
    tick = watch.look(_LATE)
    (alert,) = watch.alerts.sent
    assert alert.kind is AlertKind.LATE
    assert "night of 2026-03-16 have not arrived by 06:00" in alert.title
    watch.look(_LATE, cursor=tick.cursor)
    assert len(watch.alerts.sent) == 1
    assert json.loads(str(tick.cursor)) == {"alerted": "2026-03-16"}


def test_an_alert_that_nobody_took_is_sent_again_at_the_next_look(watch: Watch) -> None:
    watch.alerts.is_down = True
    with pytest.raises(UnavailableError):
        watch.look(_LATE)
    watch.alerts.is_down = False
    watch.look(_LATE)
    assert len(watch.alerts.sent) == 1


def test_a_broken_source_folder_stops_no_sensor(watch: Watch) -> None:
    (watch.settings.data_dir / "dwh" / "customers").rmdir()
    (watch.settings.data_dir / "dwh").rmdir()
    assert "nothing of source dwh here" in str(watch.look(_EARLY).skip_message)


def test_the_schedule_starts_the_night_of_the_banks_day(watch: Watch, tmp_path: Path) -> None:
    defs = build_defs(watch.settings)
    schedule = defs.resolve_schedule_def("nightly")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 1 * * *", "Europe/Moscow")
    at = datetime(2026, 3, 15, 22, 0, tzinfo=UTC)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=at, repository_def=defs.get_repository_def()
        )
        (request,) = schedule.evaluate_tick(context).run_requests or ()
    assert request.partition_key == "2026-03-16"


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (lambda: failure("snapshot 2026-03-15.1 failed its gate", exit_code=GateError.exit_code), "gate", "its gate"),
        (lambda: failure("no data before 2026-03-15", exit_code=2), "failed", "no data before"),
        (lambda: ZeroDivisionError("by zero"), "failed", "see the run"),
    ],
)
def test_a_failed_run_is_told_in_the_jobs_own_words(
    tmp_path: Path, raised: Callable[[], Exception], kind: str, says: str
) -> None:
    runner = FakeRunner(failures=[raised()])
    job = build_defs(settings_in(tmp_path), resources={"spark_runner": runner}).resolve_job_def("repair")
    ended = job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(), partition_key="2026-03-15", raise_on_error=False, run_config=QUIET
    )
    failed = [event for event in ended.all_events if event.is_step_failure]
    alert = alert_of_failure(ended.dagster_run, failed)
    assert alert.kind == kind
    assert says in alert.text
    assert alert.facts["as_of"] == "2026-03-15"
    assert alert.facts["step"] == "ingest_job"
