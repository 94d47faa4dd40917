"""A job as Dagster assets: one process, several tables, one materialisation each with what the job reported."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from dagster_project.asset_specs import asset_key, asset_spec
from dagster_project.attempts import Attempts
from dagster_project.contract_checks import check_results, check_specs, require_kept
from dagster_project.failures import told
from dagster_project.runner import SparkRunner
from dagster_project.shown import materialization_metadata, report_of
from data_contracts.experiments import experiments_in, shown_from
from data_contracts.night import NightParams
from data_contracts.settings import Settings

# Whoever writes tables of the lake is in this pool, which lets one at a time: a Delta table has one writer.
LAKE_POOL = "lake"
# A run with this tag makes features from the first day, whatever the lake knows already.
REBUILD_TAG = "recs/rebuild"
_PAST_NIGHTS = 30


def night_params(settings: Settings, context: dg.AssetExecutionContext, *, attempt: int = 1) -> NightParams:
    """The parameters of the partition's night, or of the last of a range of them that the run was started for.

    Raises dagster.Failure when the settings name no source.
    """
    first, last = nights_of(context)
    with told(context, settings):
        sources = settings.sources
        experiments = shown_from(experiments_in(settings.experiments), last)
    return NightParams(
        as_of=last,
        backfill_from=first if first != last else None,
        rebuild=context.run.tags.get(REBUILD_TAG) == "yes",
        attempt=attempt,
        lake=settings.lake_uri,
        sources=sources,
        timezone=settings.timezone,
        tecd_day_zero=settings.tecd_day_zero,
        offer_domains=settings.offer_domains,
        product_horizon_days=settings.product_horizon_days,
        offer_horizon_days=settings.offer_horizon_days,
        gap_hours=settings.gap_hours,
        seed=settings.seed,
        registry=settings.registry_url,
        train=settings.train,
        train_every_days=settings.train_every_days,
        experiments=experiments,
        outbound=settings.outbound_variants,
        uplift_users=settings.uplift_users,
    )


def nights_of(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """The first and the last as-of that the run is about."""
    keys = context.partition_key_range
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


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
    deps_of: Mapping[str, Sequence[str]] | None = None,
    claims_attempt: bool = False,
    uses_attempt: bool = False,
) -> dg.AssetsDefinition:
    """Assets made by one Spark job. `outputs`: asset key with slashes -> what it is, in order of dependence.

    `deps`: what every output is made from, but for those in `deps_of`, which may name other outputs. `claims_attempt`:
    the job writes a snapshot of its own; `uses_attempt`: it works on the newest one of the date.
    """
    own = deps_of or {}
    specs = [
        asset_spec(name, text, job=job, group=group, deps=own.get(name, deps), partitions=partitions)
        for name, text in outputs.items()
    ]

    # No backfill policy: with one, Dagster takes a single night started in its UI for a backfill as well. The job
    # `backfill` makes a range of nights in one run nevertheless: its run is tagged with the range.
    @dg.multi_asset(
        name=f"{job}_job",
        specs=specs,
        check_specs=check_specs(outputs),
        can_subset=False,
        pool=LAKE_POOL,
    )
    def launch(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        spark_runner: dg.ResourceParam[SparkRunner],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        params = night_params(settings, context)
        with told(context, settings):
            attempts = Attempts(params.lake)
            if claims_attempt:
                attempt = attempts.claim(params.as_of, run_id=root_run_id(context))
                params = params.model_copy(update={"attempt": attempt})
            elif uses_attempt:
                params = params.model_copy(update={"attempt": attempts.latest(params.as_of)})
            report = spark_runner.run(context, job=job, params=params)
        for name in outputs:
            yield materialized(context, report, name, lake=params.lake)
        with told(context, settings):
            require_kept(report, outputs)

    return launch


def materialized(
    context: dg.AssetExecutionContext, report: Mapping[str, Any], name: str, *, lake: str
) -> dg.MaterializeResult[Any]:
    """One output as its job reported it. Its data version is the reported fingerprint; without one, Dagster's own,
    which follows from the code's version and those of what it was made from.
    """
    fingerprint = report_of(report, name).get("fingerprint")
    return dg.MaterializeResult(
        asset_key=asset_key(name),
        metadata=materialization_metadata(
            report, name, lake=lake, past_rows=_past_rows(context, name), night=nights_of(context)[1].isoformat()
        ),
        check_results=check_results(report, name),
        data_version=dg.DataVersion(fingerprint) if fingerprint else None,
    )


def _past_rows(context: dg.AssetExecutionContext, name: str) -> dict[str, int]:
    """Rows by night, as the last nights reported them."""
    newest_first = context.instance.fetch_materializations(asset_key(name), limit=_PAST_NIGHTS).records
    rows: dict[str, int] = {}
    for record in newest_first:
        made = record.asset_materialization
        value = made.metadata.get("rows") if made else None
        if made and made.partition and value is not None:
            rows.setdefault(made.partition, int(str(value.value)))
    return rows
