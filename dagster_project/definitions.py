"""The code location that Dagster loads: `dagster dev -m dagster_project.definitions`."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_project.alerts import alerts_of
from dagster_project.asset_specs import asset_key
from dagster_project.assets import (
    campaigns,
    exports,
    features,
    ingest,
    maintenance,
    publish,
    ranking,
    retrieval,
    scoring,
)
from dagster_project.launching import launching
from dagster_project.partitions import nights
from dagster_project.runner import SparkRunner
from dagster_project.watch import exports_sensor, failure_sensor, nightly_schedule
from data_contracts.settings import Settings

NIGHT_JOB, REPAIR_JOB, UPKEEP_JOB, BACKFILL_JOB = "night", "repair", "upkeep", "backfill"
_UPKEEP_HOUR = 6
_LOCK_WAIT_SECONDS = 3600.0


def night_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Every asset of the night, in the order of the house; campaigns and exports only where the bank has some."""
    partitions = nights(settings)
    groups = (ingest, features, retrieval, ranking, scoring, publish, maintenance)
    outbound = campaigns.build(partitions) if settings.campaigns else []
    outbound += exports.build(partitions) if settings.standing_exports else []
    return [*(asset for group in groups for asset in group.build(partitions)), *outbound]


def build_defs(settings: Settings, *, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The graph with its job, schedule and resources; `resources` override those of the settings."""
    night = dg.define_asset_job(
        NIGHT_JOB,
        selection=dg.AssetSelection.all() - maintenance.SELECTION,
        description="One whole night, from deliveries to pointer.",
    )
    repair = dg.define_asset_job(
        REPAIR_JOB,
        selection=dg.AssetSelection.all()
        - maintenance.SELECTION
        - dg.AssetSelection.assets(asset_key(publish.PUBLISHED)).downstream(),
        description="A night made again, for one day or a range of them, that publishes nothing.",
    )
    upkeep = dg.define_asset_job(
        UPKEEP_JOB,
        selection=maintenance.SELECTION,
        description="The lake in order: expired, compacted, vacuumed, old snapshots removed.",
    )
    backfill = dg.define_asset_job(
        BACKFILL_JOB,
        selection=dg.AssetSelection.groups("features"),
        description="The features of a range of nights in one run, from the silver tables as they are.",
    )
    alerts = alerts_of(settings)
    return dg.Definitions(
        assets=night_assets(settings),
        jobs=[night, repair, upkeep, backfill],
        schedules=[
            nightly_schedule(night, settings),
            dg.build_schedule_from_partitioned_job(upkeep, hour_of_day=_UPKEEP_HOUR, minute_of_hour=0),
        ],
        sensors=[exports_sensor(night, settings, alerts), failure_sensor(alerts), *_cloud_sensors(settings)],
        resources={"settings": settings, "spark_runner": _runner(settings), **(resources or {})},
        # The lake's lock lives as long as the run, so the run is one process; Spark brings the parallelism.
        executor=dg.in_process_executor,
    )


def _cloud_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    if settings.spark_runner != "dataproc":
        return []
    from dagster_project.dataproc.orphans import orphan_sensor  # noqa: PLC0415 (an SDK takes a second to load)

    return [orphan_sensor(settings)]


def _runner(settings: Settings) -> dg.ResourceDefinition:
    @dg.resource
    def runner(_: dg.InitResourceContext) -> Iterator[SparkRunner]:
        with launching(settings, wait_seconds=_LOCK_WAIT_SECONDS) as started:
            yield started

    return runner


defs = build_defs(Settings())
