"""Group `outbound`: the users of the snapshot just published, assigned to the campaigns of the day."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from dagster_project.asset_specs import asset_spec
from dagster_project.assets.publish import PUBLISHED
from dagster_project.attempts import Attempts
from dagster_project.failures import told
from dagster_project.files import write_bytes
from dagster_project.job_assets import LAKE_POOL, materialized, night_params
from dagster_project.runner import SparkRunner
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from sql.campaigns import standing
from sql.client import Address, connected

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
            report = spark_runner.run(context, job="campaigns", params=_known_now(settings, params))
        yield materialized(context, report, ASSIGNED, lake=params.lake)

    return [assigned]


def _known_now(settings: Settings, params: NightParams) -> NightParams:
    """What the job, which knows no database, must know of it: stops as parameters; events, and the campaigns
    and rules that were approved, as files of the lake.
    """
    with connected(Address.of(settings)) as store:
        now = standing(store, cut_off=params.cut_off, now=datetime.now(UTC))
    sink = pa.BufferOutputStream()
    pq.write_table(now.events, sink, compression="zstd")
    write_bytes(f"{params.lake}/campaigns/{params.as_of}/events.parquet", sink.getvalue().to_pybytes())
    if now.rules is not None:
        write_bytes(f"{params.lake}/campaigns/{params.as_of}/rules.json", now.rules.rules.model_dump_json().encode())
    write_bytes(f"{params.lake}/campaigns/{params.as_of}/approved.json", json.dumps(now.campaigns).encode())
    newest = Attempts(params.lake).latest(params.as_of)
    return params.model_copy(update={"attempt": newest, "stops": now.stops, "late_days": settings.late_event_days})
