"""The sensor that deletes clusters which nobody will: their night is not running, or they are older than any night."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.dataproc.api import CloudApi
from dagster_project.dataproc.clusters import Clusters, Found
from dagster_project.dataproc.plan import ClusterPlan, read_plan
from data_contracts.errors import RecsError
from data_contracts.settings import Settings

_POLL_SECONDS = 300
_RUNNING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def orphan_sensor(
    settings: Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dg.SensorDefinition:
    """Looks every five minutes. A night that Dagster starts again within `orphan_minutes` finds its cluster."""

    @dg.sensor(
        name="orphaned_clusters",
        minimum_interval_seconds=_POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Deletes Data Proc clusters of nights that are not running any more.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        plan = read_plan(settings.dataproc)
        clusters = Clusters(CloudApi(plan, token=settings.dataproc_token.get_secret_value()), plan)
        known: Mapping[str, str] = json.loads(context.cursor) if context.cursor else {}
        idle, old = sorted_out(clusters.ours(), known, plan, running=_running_nights(context.instance), now=now())
        left = _deleted(clusters, old, context.log)
        reason = f"deleted {len(old) - left}, could not delete {left}, watching {len(idle)}"
        return dg.SensorResult(skip_reason=reason, cursor=json.dumps(idle))

    return look


def sorted_out(
    found: Iterable[Found], known: Mapping[str, str], plan: ClusterPlan, *, running: frozenset[str], now: datetime
) -> tuple[dict[str, str], list[Found]]:
    """Clusters whose night does not run, with the moment that this was first seen (`known`: those of the last look);
    and those to delete: so for `orphan_minutes`, or alive for `cluster_hours` whatever their night does.
    """
    idle: dict[str, str] = {}
    old: list[Found] = []
    for one in found:
        is_too_old = now - one.created_at > timedelta(hours=plan.cluster_hours)
        if one.night not in running:
            idle[one.cluster_id] = known.get(one.cluster_id, now.isoformat())
        since = datetime.fromisoformat(idle.get(one.cluster_id, now.isoformat()))
        if is_too_old or (one.night not in running and now - since >= timedelta(minutes=plan.orphan_minutes)):
            old.append(one)
    return idle, old


def _running_nights(instance: dg.DagsterInstance) -> frozenset[str]:
    runs = instance.get_runs(dg.RunsFilter(statuses=_RUNNING))
    return frozenset(run.root_run_id or run.run_id for run in runs)


def _deleted(clusters: Clusters, old: Iterable[Found], log: logging.Logger) -> int:
    """How many could not be: they are tried again at the next look."""
    left = 0
    for one in old:
        log.warning(f"cluster {one.name} ({one.cluster_id}) of run {one.night} is left: it is deleted")
        try:
            clusters.delete(one.cluster_id)
        except RecsError as error:
            left += 1
            log.error(f"cluster {one.cluster_id} could not be deleted: {error}")
    return left
