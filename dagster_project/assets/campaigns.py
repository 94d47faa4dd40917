"""Group `outbound`: the users of the snapshot just published, assigned to the campaigns of the day."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.asset_specs import asset_spec
from dagster_project.assets.publish import PUBLISHED
from dagster_project.attempts import Attempts
from dagster_project.failures import told
from dagster_project.job_assets import LAKE_POOL, materialized, night_params
from dagster_project.runner import SparkRunner
from data_contracts.settings import Settings
from sql.client import Address, connected
from sql.rules import blocks

ASSIGNED = "campaigns/assigned"
_TEXT = (
    "who is contacted by which campaign on this day and who is held out, one Parquet file a campaign below "
    "campaigns/ in the lake. A night whose snapshot is not published assigns nobody"
)


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """For nights of a bank that has campaigns: see RECS_CAMPAIGNS."""
    spec = asset_spec(
        ASSIGNED,
        _TEXT,
        job="campaigns",
        group="outbound",
        deps=[PUBLISHED],
        kinds=frozenset({"parquet"}),
        partitions=partitions,
    )

    @dg.multi_asset(name="campaigns_job", specs=[spec], pool=LAKE_POOL)
    def assigned(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        spark_runner: dg.ResourceParam[SparkRunner],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        params = night_params(settings, context)
        with told(context, settings):
            with connected(Address.of(settings)) as store:
                stops = tuple(stop.item_id for stop in blocks(store))
            params = params.model_copy(update={"attempt": Attempts(params.lake).latest(params.as_of), "stops": stops})
            report = spark_runner.run(context, job="campaigns", params=params)
        yield materialized(context, report, ASSIGNED, lake=params.lake)

    return [assigned]
