"""The code location that Dagster loads: `dagster dev -m dagster_project.definitions`."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_project.assets import features, ingest, publish, ranking, retrieval, scoring
from dagster_project.lake_lock import lake_lock
from dagster_project.partitions import nights
from dagster_project.runner import LocalSparkRunner
from data_contracts.settings import Settings

NIGHT_JOB = "night"
_LOCK_WAIT_SECONDS = 3600.0


def night_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Every asset of the night, in the order of the house."""
    partitions = nights(settings)
    groups = (ingest, features, retrieval, ranking, scoring, publish)
    return [asset for group in groups for asset in group.build(partitions)]


def build_defs(settings: Settings, *, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The graph with its job, schedule and resources; `resources` override those of the settings."""
    night = dg.define_asset_job(
        NIGHT_JOB, selection=dg.AssetSelection.all(), description="one whole night, from deliveries to pointer"
    )
    schedule = dg.build_schedule_from_partitioned_job(
        night, hour_of_day=1, minute_of_hour=0, default_status=dg.DefaultScheduleStatus.STOPPED
    )
    return dg.Definitions(
        assets=night_assets(settings),
        jobs=[night],
        schedules=[schedule],
        resources={"settings": settings, "spark_runner": _local_runner(settings), **(resources or {})},
        # The lake's lock lives as long as the run, so the run is one process; Spark brings the parallelism.
        executor=dg.in_process_executor,
    )


def _local_runner(settings: Settings) -> dg.ResourceDefinition:
    @dg.resource
    def local_runner(_: dg.InitResourceContext) -> Iterator[LocalSparkRunner]:
        with lake_lock(settings.lake_uri, wait_seconds=_LOCK_WAIT_SECONDS) as lock:
            yield LocalSparkRunner(logs=settings.data_dir / "logs", lock=lock)

    return local_runner


defs = build_defs(Settings())
