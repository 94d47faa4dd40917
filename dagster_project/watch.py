"""What starts a night and who is told: the schedule, the sensor on exports, the sensor on failed runs.

A night is started once, whoever comes first: schedule and sensor use one run key and look for a run of that night.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from dagster_project.alerts import Alert, AlertKind, Alerts
from dagster_project.arrivals import not_arrived
from dagster_project.publishing import PUBLISH
from data_contracts.errors import GateError
from data_contracts.settings import Settings

_PARTITION_TAG = "dagster/partition"
_NIGHT_CRON = "0 1 * * *"
_POLL_SECONDS = 60
Job = Any


def nightly_schedule(job: Job, settings: Settings) -> dg.ScheduleDefinition:
    """01:00 of every day in the bank's time zone starts the night of that day, unless it was started already."""

    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        as_of = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date()
        return _start(context.instance, job, as_of, by="schedule")

    return dg.ScheduleDefinition(
        name="nightly",
        job=job,
        cron_schedule=_NIGHT_CRON,
        execution_timezone=settings.timezone,
        execution_fn=evaluate,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Starts the night of the day at 01:00 of the bank. Use it where exports come at a fixed hour; "
        "where they may be late, turn on exports_arrived instead.",
    )


def exports_sensor(
    job: Job, settings: Settings, alerts: Alerts, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dg.SensorDefinition:
    """Starts tonight's night when everything has arrived; alerts, once a night, when it has not by the agreed hour."""

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.RunRequest | dg.SkipReason:
        moment = now().astimezone(ZoneInfo(settings.timezone))
        as_of = moment.date()
        missing = not_arrived(settings, as_of)
        if not missing:
            return _start(context.instance, job, as_of, by="exports_arrived")
        reason = f"night of {as_of} waits for {len(missing)} deliveries: {'; '.join(missing)}"
        is_late = moment.time() >= settings.exports_due
        if not is_late or _alerted(context.cursor) == as_of.isoformat() or _was_started(context.instance, job, as_of):
            return dg.SkipReason(reason)
        alerts.send(_late(as_of, missing, settings))
        return dg.SensorResult(skip_reason=f"{reason}; alerted", cursor=json.dumps({"alerted": as_of.isoformat()}))

    return dg.SensorDefinition(
        name="exports_arrived",
        job=job,
        evaluation_fn=evaluate,
        minimum_interval_seconds=_POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Starts the night when the DWH exports of the day bear their success marker and the last day of "
        f"events is there; alerts when they have not arrived by {settings.exports_due:%H:%M} of the bank.",
    )


def failure_sensor(alerts: Alerts) -> dg.SensorDefinition:
    """Tells of every failed run: what failed, in the job's own words."""

    @dg.run_failure_sensor(
        name="tell_of_failures",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends an alert for every failed run, and for every snapshot that failed its gate.",
    )
    def tell(context: dg.RunFailureSensorContext) -> None:
        alerts.send(alert_of_failure(context.dagster_run, context.get_step_failure_events()))

    return tell


def alert_of_failure(run: dg.DagsterRun, failures: Sequence[dg.DagsterEvent]) -> Alert:
    """The alert of a failed run, from its first failed step; a run may fail before it had one."""
    facts = {"job": run.job_name, "run": run.run_id, "as_of": run.tags.get(_PARTITION_TAG, "")}
    if not failures:
        return Alert(AlertKind.FAILED, f"{run.job_name} failed", "it failed before its first step: see the run", facts)
    first = failures[0]
    data = first.step_failure_data.user_failure_data
    text = (data.description if data else None) or "see the run in the Dagster UI"
    code = data.metadata.get("exit_code") if data else None
    facts |= {"step": first.step_key or "", "exit_code": "" if code is None else str(code.value)}
    kind = AlertKind.GATE if facts["exit_code"] == str(GateError.exit_code) else AlertKind.FAILED
    what = "stays unpublished: its gate refused it" if kind is AlertKind.GATE else f"failed in {first.step_key}"
    return Alert(kind, f"{run.job_name} {facts['as_of']} {what}", text, facts)


def _late(as_of: date, missing: list[str], settings: Settings) -> Alert:
    title = f"exports for the night of {as_of} have not arrived by {settings.exports_due:%H:%M}"
    text = f"{'; '.join(missing)}. The night starts by itself once they are there."
    return Alert(AlertKind.LATE, title, text, {"as_of": as_of.isoformat(), "missing": str(len(missing))})


def _start(instance: dg.DagsterInstance, job: Job, as_of: date, *, by: str) -> dg.RunRequest | dg.SkipReason:
    if _was_started(instance, job, as_of):
        return dg.SkipReason(f"the night of {as_of} was started already: run it again by hand if it must be")
    day = as_of.isoformat()
    return dg.RunRequest(run_key=day, partition_key=day, tags={**PUBLISH, "recs/started_by": by})


def _was_started(instance: dg.DagsterInstance, job: Job, as_of: date) -> bool:
    tags = {_PARTITION_TAG: as_of.isoformat()}
    return instance.get_runs_count(dg.RunsFilter(job_name=job.name, tags=tags)) > 0


def _alerted(cursor: str | None) -> str | None:
    """As-of of the last night that was told to be late."""
    return json.loads(cursor).get("alerted") if cursor else None
