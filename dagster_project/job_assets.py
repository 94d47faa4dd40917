"""A job as Dagster assets: one process, several tables, one materialisation each with what the job reported."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from dagster_project.attempts import Attempts
from dagster_project.contract_checks import check_results, check_specs, require_kept
from dagster_project.runner import SparkRunner, failure_of
from data_contracts.errors import RecsError
from data_contracts.night import NightParams, Sources
from data_contracts.settings import Settings


def night_params(settings: Settings, context: dg.AssetExecutionContext, *, attempt: int = 1) -> NightParams:
    """The parameters of the partition's night. Raises dagster.Failure when the settings name no source."""
    try:
        return NightParams(
            as_of=context.partition_time_window.start.date(),
            attempt=attempt,
            lake=settings.lake_uri,
            sources=Sources(tecd=settings.tecd, dwh=settings.dwh, events=settings.events, reference=settings.reference),
            timezone=settings.timezone,
            tecd_day_zero=settings.tecd_day_zero,
            offer_domains=settings.offer_domains,
            product_horizon_days=settings.product_horizon_days,
            offer_horizon_days=settings.offer_horizon_days,
            gap_hours=settings.gap_hours,
            seed=settings.seed,
        )
    except ValueError as error:
        raise dg.Failure(
            "no source to read: set RECS_TECD, RECS_DWH, RECS_EVENTS or RECS_REFERENCE",
            metadata={"exit_code": 2},
            allow_retries=False,
        ) from error


def root_run_id(context: dg.AssetExecutionContext) -> str:
    """The first run of a chain of retries: a re-execution goes on with the attempt that it repairs."""
    return context.run.root_run_id or context.run.run_id


def job_assets(
    job: str,
    *,
    group: str,
    outputs: Mapping[str, str],
    partitions: dg.PartitionsDefinition,
    deps: Sequence[str] = (),
    claims_attempt: bool = False,
    uses_attempt: bool = False,
) -> dg.AssetsDefinition:
    """Assets made by one Spark job. `outputs`: asset key with slashes -> description.

    `claims_attempt`: the job writes a snapshot of its own; `uses_attempt`: it works on the newest one of the date.
    """
    specs = [
        dg.AssetSpec(
            _key(name),
            description=text,
            group_name=group,
            deps=[_key(dep) for dep in deps],
            kinds={"spark"},
            owners=["team:data-platform"],
            partitions_def=partitions,
        )
        for name, text in outputs.items()
    ]

    @dg.multi_asset(name=f"{job}_job", specs=specs, check_specs=check_specs(outputs), can_subset=False)
    def launch(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        spark_runner: dg.ResourceParam[SparkRunner],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        params = night_params(settings, context)
        try:
            attempts = Attempts(params.lake)
            if claims_attempt:
                attempt = attempts.claim(params.as_of, run_id=root_run_id(context))
                params = params.model_copy(update={"attempt": attempt})
            elif uses_attempt:
                params = params.model_copy(update={"attempt": attempts.latest(params.as_of)})
        except RecsError as error:
            raise failure_of(error) from error
        report = spark_runner.run(context, job=job, params=params)
        for name in outputs:
            checks = check_results(report, name)
            yield dg.MaterializeResult(asset_key=_key(name), metadata=_metadata(report, name), check_results=checks)
        require_kept(report, outputs)

    return launch


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(name.split("/"))


def _metadata(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the UI shows of one asset. Reports name lake tables with dots, `silver.interactions`, others plainly."""
    tables = report["tables"]
    table = tables.get(name.replace("/", ".")) or tables.get(name.rpartition("/")[2], {})
    return {
        "rows": table.get("rows", 0),
        "quarantined": table.get("quarantined", 0),
        "job_seconds": round(report["seconds"], 1),
        "job_peak_mb": report["peak_mb"],
        "log": dg.MetadataValue.path(report["log"]),
        **({"validation": dg.MetadataValue.path(table["validation"])} if table.get("validation") else {}),
        **({"delta_version": table["version"]} if table.get("version") is not None else {}),
        **dict(table.get("details", {})),
    }
