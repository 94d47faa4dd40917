"""The report of a snapshot, made by its job from what the lake holds and what this run took.

A report that cannot be made is a warning: it never stops a night.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_project.files import write_bytes
from dagster_project.job_assets import root_run_id
from dagster_project.runner import SparkRunner
from data_contracts.night import NightParams
from data_contracts.settings import Settings

REPORT = "snapshot/report"
STEPS = "steps.json"


def make_report(
    context: dg.AssetExecutionContext, settings: Settings, spark_runner: SparkRunner, params: NightParams
) -> dict[str, Any]:
    """Metadata of the report that was made, with its `path`, or why there is none: that `failed`."""
    folder = f"{params.lake}/reports/{params.snapshot_id}"
    try:
        write_bytes(f"{folder}/{STEPS}", json.dumps(list(_steps(context, settings)), indent=1).encode())
        report = spark_runner.run(context, job="report", params=params)
    except Exception as error:
        context.log.warning(f"no report of {params.snapshot_id} was made: {error}")
        return {"failed": str(error)}
    page = f"{folder}/index.html"
    return {
        "report": dg.MetadataValue.url(f"file://{page}") if page.startswith("/") else dg.MetadataValue.url(page),
        "path": dg.MetadataValue.path(page),
        "job_seconds": round(report["seconds"], 1),
        "log": dg.MetadataValue.path(report["log"]),
    }


def _steps(context: dg.AssetExecutionContext, settings: Settings) -> Iterator[dict[str, Any]]:
    """A row a step that this run, and the one that it repairs, have made: its time, its memory and its rows.

    Its cost, in roubles, where the settings have a price: of all the runner's cores, for as long as it took.
    """
    price = settings.core_hour_price
    steps: dict[str, list[Mapping[str, Any]]] = {}
    for run_id in dict.fromkeys((root_run_id(context), context.run.run_id)):
        records = context.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        for record in records:
            if record.dagster_event is not None and record.step_key is not None:
                made = record.dagster_event.step_materialization_data.materialization.metadata
                steps.setdefault(record.step_key, []).append({name: value.value for name, value in made.items()})
    for step, assets in steps.items():
        seconds = max(asset.get("job_seconds", 0.0) for asset in assets)
        yield {
            "step": step.removesuffix("_job"),
            "seconds": seconds,
            **({} if price is None else {"cost": round(seconds / 3600 * settings.spark_cores * price, 4)}),
            "check_seconds": max(asset.get("check_seconds", 0.0) for asset in assets),
            "peak_mb": max(asset.get("job_peak_mb", 0) for asset in assets),
            "rows": sum(asset.get("rows", 0) for asset in assets),
            "quarantined": sum(asset.get("quarantined", 0) for asset in assets),
        }
