"""Group `outbound`: the users of the snapshot just published, assigned to the campaigns of the day."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from dagster_project.asset_specs import asset_spec
from dagster_project.assets.publish import PUBLISHED
from dagster_project.attempts import Attempts
from dagster_project.failures import told
from dagster_project.files import file_system, read_bytes, write_bytes
from dagster_project.job_assets import LAKE_POOL, materialized, night_params
from dagster_project.runner import SparkRunner
from dagster_project.shown import report_of
from data_contracts.errors import InputError
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from sql.campaigns import standing
from sql.client import Address, connected
from sql.control_groups import ASSIGNED_COLUMNS, ControlGroup, hold_out

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
        _hold_out(settings, params, report_of(report, ASSIGNED))
        yield materialized(context, report, ASSIGNED, lake=params.lake)

    return [assigned]


def _hold_out(settings: Settings, params: NightParams, said: Mapping[str, Any]) -> None:
    """From now on nobody contacts those whom the job drew into control groups, or an earlier attempt at the day did."""
    folder = said.get("details", {}).get("folder")
    if folder is None:  # no campaign runs on this day
        return
    campaigns = json.loads(read_bytes(f"{folder}/manifest.json"))["campaigns"]
    groups = [ControlGroup.of(name, one["channel"], _rows(folder, name)) for name, one in campaigns.items()]
    with connected(Address.of(settings)) as store:
        hold_out(store, groups, day=params.as_of, now=datetime.now(UTC))


def _rows(folder: str, campaign: str) -> pa.Table:
    system, path = file_system(f"{folder}/{campaign}.parquet")
    with system.open_input_file(path) as file:
        return pq.read_table(file, columns=list(ASSIGNED_COLUMNS))


def _known_now(settings: Settings, params: NightParams) -> NightParams:
    """What the job, which knows neither a database nor this machine, must know of them: stops as parameters; events,
    the campaigns' files, and the campaigns and rules that were approved, as files of the lake.
    """
    with connected(Address.of(settings)) as store:
        now = standing(store, day=params.as_of, cut_off=params.cut_off, now=datetime.now(UTC))
    sink = pa.BufferOutputStream()
    pq.write_table(now.events, sink, compression="zstd")
    write_bytes(f"{params.lake}/campaigns/{params.as_of}/events.parquet", sink.getvalue().to_pybytes())
    if now.rules is not None:
        write_bytes(f"{params.lake}/campaigns/{params.as_of}/rules.json", now.rules.rules.model_dump_json().encode())
    write_bytes(f"{params.lake}/campaigns/{params.as_of}/approved.json", json.dumps(now.campaigns).encode())
    newest = Attempts(params.lake).latest(params.as_of)
    files = _brought(settings.campaigns, f"{params.lake}/campaigns/{params.as_of}/files")
    given = {"campaigns": files, "stops": now.stops, "late_days": settings.late_event_days}
    return params.model_copy(update={"attempt": newest, **given})


def _brought(folder: Path | None, uri: str) -> str | None:
    """The folder's files in the lake, without what an earlier run brought; None where there is no folder."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder of campaigns")
    system, path = file_system(uri)
    system.delete_dir_contents(path, missing_dir_ok=True)
    for file in sorted(folder.glob("*.yaml")):
        write_bytes(f"{uri}/{file.name}", file.read_bytes())
    return uri
