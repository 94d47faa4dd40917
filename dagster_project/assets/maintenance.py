"""Group `maintenance`: the lake kept in order after a night is out, by a job of its own; no night waits for it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.asset_specs import asset_spec
from dagster_project.assets.publish import PUBLISHED
from dagster_project.failures import told
from dagster_project.job_assets import LAKE_POOL, job_assets
from dagster_project.old_folders import remove_old
from data_contracts.settings import Settings
from sql.client import Address, connected
from sql.pointer import current
from sql.states import State, snapshot_states

_GROUP = "maintenance"
OUTPUTS = {"lake/maintenance": "tables expired by their contracts, compacted and vacuumed; old landed days removed"}
SELECTION = dg.AssetSelection.groups(_GROUP)


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    tables = job_assets("maintenance", group=_GROUP, outputs=OUTPUTS, deps=(PUBLISHED,), partitions=partitions)
    return [tables, _old_snapshots(partitions)]


def _old_snapshots(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    spec = asset_spec(
        "lake/old_snapshots",
        "old snapshots, their reports and models removed; what is served or in ClickHouse stays",
        job="maintenance",
        group=_GROUP,
        deps=[PUBLISHED],
        kinds=frozenset({"storage"}),
        partitions=partitions,
    )

    # The runner brings the lake's lock, which is held while this runs.
    @dg.multi_asset(
        name="old_snapshots", specs=[spec], pool=LAKE_POOL, required_resource_keys={"settings", "spark_runner"}
    )
    def old_snapshots(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        settings: Settings = context.resources.settings
        with told(context, settings):
            removed = remove_old(settings.lake_uri, keep=settings.keep_lake_snapshots, needed=in_clickhouse(settings))
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "rows": 0,
                "snapshots_removed": list(removed.snapshots),
                "models_removed": list(removed.models),
                "bytes_removed": removed.bytes,
            },
        )

    return old_snapshots


def in_clickhouse(settings: Settings) -> frozenset[str]:
    """The snapshot that is served and all that it may be rolled back to. Raises UnavailableError."""
    with connected(Address.of(settings)) as store:
        kept = {entry.snapshot_id for entry in snapshot_states(store) if entry.state is not State.DROPPED}
        served = current(store)
    return frozenset(kept | ({served} if served else set()))
