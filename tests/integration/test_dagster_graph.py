"""The graph is whole, and a job that fails says why in its own words, with its exit code."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.asset_specs import asset_key
from dagster_project.assets import publish
from dagster_project.assets.campaigns import ASSIGNED
from dagster_project.assets.exports import EXPORTED
from dagster_project.definitions import NIGHT_JOB, REPAIR_JOB, build_defs, night_assets
from dagster_project.partitions import nights
from dagster_project.runner import LocalSparkRunner
from data_contracts.errors import GateError, InputError
from data_contracts.gate import gate_rules
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from infra.night import run_night
from tests.integration.dagster_fakes import QUIET, FakeRunner, settings_in


def test_the_graph_loads_with_its_job_and_schedule() -> None:
    defs = build_defs(Settings())
    dg.Definitions.validate_loadable(defs)
    assert defs.resolve_job_def(NIGHT_JOB).partitions_def is not None


def test_every_asset_says_what_it_is_and_whose() -> None:
    for asset in night_assets(Settings(campaigns=Path("campaigns"), standing_exports=Path("exports"))):
        for spec in asset.specs:
            assert spec.description, spec.key
            assert spec.owners, spec.key
            assert spec.group_name != "default", spec.key


def test_every_dependency_is_an_asset_of_the_graph() -> None:
    specs = [
        spec
        for asset in night_assets(Settings(campaigns=Path("campaigns"), standing_exports=Path("exports")))
        for spec in asset.specs
    ]
    keys = {spec.key for spec in specs}
    assert {dep.asset_key for spec in specs for dep in spec.deps} <= keys


def test_campaigns_and_standing_exports_are_there_only_where_the_bank_has_some() -> None:
    def keys(settings: Settings) -> set[dg.AssetKey]:
        return {spec.key for asset in night_assets(settings) for spec in asset.specs}

    settings = Settings(campaigns=Path("campaigns"), standing_exports=Path("exports"))
    mine = {asset_key(ASSIGNED), asset_key(EXPORTED)}
    assert keys(settings) - keys(Settings()) == mine
    jobs = {name: build_defs(settings).resolve_job_def(name).asset_layer for name in (NIGHT_JOB, REPAIR_JOB)}
    assert [mine & set(layer.executable_asset_keys) for layer in jobs.values()] == [mine, set()]


def test_a_failing_job_fails_its_asset_with_the_jobs_own_words(tmp_path: Path) -> None:
    """The job is real: sealing a folder that holds no snapshot."""
    settings = Settings(data_dir=tmp_path, tecd="/nowhere", product_horizon_days=7)
    (tmp_path / "lake" / "snapshots" / "2026-03-15.1").mkdir(parents=True)
    sealed = publish.build(nights(settings))[0]
    with LocalSparkRunner.running(lake=settings.lake_uri, logs=tmp_path / "logs") as runner:
        resources = {"settings": settings, "spark_runner": runner}
        result = dg.materialize([sealed], partition_key="2026-03-15", resources=resources, raise_on_error=False)
    failure = next(event for event in result.all_events if event.is_step_failure).step_failure_data.user_failure_data
    assert failure is not None
    assert "not a finished snapshot" in str(failure.description)
    assert failure.metadata["exit_code"].value == InputError.exit_code


def _publish_group(folder: Path, runner: FakeRunner) -> dg.ExecuteInProcessResult:
    """The steps after scoring but publishing itself, whose snapshot is a folder without anything in it."""
    settings = settings_in(folder)
    (folder / "lake" / "snapshots" / "2026-03-15.1").mkdir(parents=True)
    sealed, _, reported = publish.build(nights(settings))
    resources = {"settings": settings, "spark_runner": runner}
    return dg.materialize(
        [sealed, reported], partition_key="2026-03-15", resources=resources, run_config=QUIET, raise_on_error=False
    )


def test_a_stopped_snapshot_fails_its_check_and_the_night_and_is_reported(tmp_path: Path) -> None:
    result = _publish_group(tmp_path, runner := FakeRunner(stopped="snapshot failed its gate: coverage 0.5"))
    (failure,) = (event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure)
    assert failure is not None
    assert failure.metadata["exit_code"].value == GateError.exit_code
    evaluations = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert [name for name, passed in evaluations.items() if not passed] == ["coverage"]
    assert evaluations.keys() == gate_rules().keys()
    assert [job for job, _ in runner.ran] == ["seal", "report"]
    made = [event.asset_key.path for event in result.get_asset_materialization_events() if event.asset_key]
    assert made == [["snapshot", "manifest"], ["snapshot", "report"]]


def test_a_report_that_cannot_be_made_fails_nothing(tmp_path: Path) -> None:
    class Unreported(FakeRunner):
        def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
            if job == "report":
                context.set_requires_typed_event_stream(error_message="as a Pipes session does")
                raise dg.Failure("no room left on the disk")
            return super().run(context, job=job, params=params)

    assert _publish_group(tmp_path / "whole", FakeRunner()).success
    steps = json.loads((tmp_path / "whole/lake/reports/2026-03-15.1/steps.json").read_text())
    assert [(step["step"], step["rows"], step["quarantined"]) for step in steps] == [("seal", 3, 2)]
    broken = _publish_group(tmp_path / "broken", Unreported())
    assert broken.success
    (report,) = broken.asset_materializations_for_node("report")
    assert "no room left on the disk" in report.metadata["failed"].value


def test_a_night_without_any_source_is_refused_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with pytest.raises(InputError, match="no source to read"):
        run_night(Settings(data_dir=tmp_path), date(2026, 3, 15), on_asset=lambda _: None)
    assert not list(tmp_path.glob("logs/*/*.log"))
