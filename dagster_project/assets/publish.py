"""Group `publish`: the snapshot sealed behind its gate, loaded, verified, made current by its pointer, and reported."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.asset_specs import asset_key, asset_spec
from dagster_project.attempts import Attempts
from dagster_project.failures import failure_of, told
from dagster_project.files import read_bytes
from dagster_project.gate_checks import gate_check_results, gate_check_specs, stopped_by
from dagster_project.job_assets import LAKE_POOL, materialized, night_params, root_run_id
from dagster_project.publishing import PUBLISH_TAG, reason_not_to_publish
from dagster_project.reporting import REPORT, make_report
from dagster_project.runner import SparkRunner
from data_contracts.catalogue import Catalogue, Reasons, Rules
from data_contracts.manifest import Manifest
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from sql.client import Address, Store, connected
from sql.gated import load_verified
from sql.migrate import migrate
from sql.pointer import current, publish
from sql.retention import drop_old
from sql.rules import NIGHT, put_delivered

PUBLISHED = "snapshot/published"
SEAL_OUTPUTS = {"snapshot/manifest": "counts, checksums and versions of the snapshot, with its gate verdict"}
SEAL_DEPS = (
    "snapshot/personal",
    "snapshot/segment",
    "snapshot/popular",
    "snapshot/audience_pool",
    "snapshot/user_state",
)


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [_sealed(partitions), _published(partitions), _reported(partitions)]


def _sealed(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    (name,) = SEAL_OUTPUTS
    spec = asset_spec(name, SEAL_OUTPUTS[name], job="seal", group="publish", deps=SEAL_DEPS, partitions=partitions)

    @dg.multi_asset(name="seal_job", specs=[spec], check_specs=gate_check_specs(name), pool=LAKE_POOL)
    def sealed(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        spark_runner: dg.ResourceParam[SparkRunner],
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        with told(context, settings):
            params = _newest_attempt(night_params(settings, context))
            report = spark_runner.run(context, job="seal", params=params)
        made = materialized(context, report, name, lake=params.lake)
        yield made._replace(check_results=gate_check_results(report, name))
        if (stopped := stopped_by(report, name)) is not None:
            # What follows is skipped, but this is when people look at the report.
            metadata = make_report(context, settings, spark_runner, params)
            yield dg.AssetMaterialization(asset_key(REPORT), partition=context.partition_key, metadata=metadata)
            raise failure_of(stopped)

    return sealed


def _reported(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    spec = asset_spec(
        REPORT,
        "the page that people read of a night, made of stopped snapshots too; open it in a browser",
        job="report",
        group="publish",
        deps=["snapshot/manifest"],
        kinds=frozenset({"html"}),
        partitions=partitions,
    )

    # Nobody waits for it: where both may run, publishing goes first.
    @dg.multi_asset(name="report", specs=[spec], pool=LAKE_POOL, op_tags={"dagster/priority": "-1"})
    def reported(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        spark_runner: dg.ResourceParam[SparkRunner],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with told(context, settings):
            params = _newest_attempt(night_params(settings, context))
        # Also where there is none: after a Pipes session Dagster takes an output that is not there for a fault.
        yield dg.MaterializeResult(asset_key=spec.key, metadata=make_report(context, settings, spark_runner, params))

    return reported


def _newest_attempt(params: NightParams) -> NightParams:
    return params.model_copy(update={"attempt": Attempts(params.lake).latest(params.as_of)})


def _published(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    spec = asset_spec(
        PUBLISHED,
        "the snapshot in ClickHouse, verified against its manifest, and the pointer on it. A backfill, or a night "
        f"older than what is served, does not move the pointer unless its run is tagged {PUBLISH_TAG}=yes",
        job="publish",
        group="publish",
        deps=["snapshot/manifest"],
        kinds=frozenset({"clickhouse"}),
        partitions=partitions,
        skippable=True,
    )

    @dg.multi_asset(name="publish", specs=[spec], pool="pointer")
    def published(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        params, started = night_params(settings, context), time.monotonic()
        with told(context, settings):
            address = Address.of(settings)
            why_not = reason_not_to_publish(context.run.tags, as_of=params.as_of, current=current_snapshot(address))
            if why_not is not None:
                _say_unpublished(context, why_not)
                return
            params = _newest_attempt(params)
            manifest = publish_snapshot(
                address,
                snapshot_uri=params.snapshot_uri,
                keep=settings.keep_snapshots,
                why=f"run {root_run_id(context)}",
            )
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "snapshot_id": manifest.snapshot_id,
                "rows": sum(table.rows for table in manifest.tables.values()),
                "job_seconds": round(time.monotonic() - started, 1),
                "tables": {name: table.rows for name, table in manifest.tables.items()},
                "snapshot": dg.MetadataValue.path(params.snapshot_uri),
            },
        )

    return published


def _say_unpublished(context: dg.AssetExecutionContext, why: str) -> None:
    context.log.warning(f"not published: {why}")
    context.log_event(
        dg.AssetObservation(asset_key(PUBLISHED), description=f"Not published: {why}.", partition=context.partition_key)
    )


def current_snapshot(address: Address) -> str | None:
    """The snapshot that is served, None before the first."""
    migrate(address)
    with connected(address) as store:
        return current(store)


def publish_snapshot(address: Address, *, snapshot_uri: str, keep: int, why: str) -> Manifest:
    """Load, verify, approve its rules, move the pointer, drop what is too old. Safe to run again.

    Raises InputError for a broken folder and GateError when ClickHouse holds something else than the manifest says;
    the pointer has not moved then.
    """
    migrate(address)
    with connected(address) as store:
        manifest = load_verified(store, snapshot_uri=snapshot_uri)
        _approve_rules(store, snapshot_uri)
        publish(store, manifest.snapshot_id, actor=NIGHT, why=why)
        drop_old(store, keep=keep)
    return manifest


def _approve_rules(store: Store, snapshot_uri: str) -> None:
    """The reference data that the night read are the newest approved ones; serving follows them at once."""
    put_delivered(
        store,
        catalogue=Catalogue.model_validate_json(read_bytes(f"{snapshot_uri}/catalogue.json")),
        rules=Rules.model_validate_json(read_bytes(f"{snapshot_uri}/rules.json")),
        reasons=Reasons.model_validate_json(read_bytes(f"{snapshot_uri}/reasons.json")),
    )
