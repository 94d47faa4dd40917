"""Contracts become Dagster's checks: an error blocks what is downstream, a warning only shows."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.contract_checks import check_specs
from dagster_project.job_assets import job_assets
from dagster_project.partitions import nights
from data_contracts.checks import checks_of
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from data_contracts.tables import contract

NIGHT = date(2026, 3, 15)


class Reporting:
    """Stands for a runner whose job reported these verdicts on silver.interactions: check name -> what was found."""

    def __init__(self, found: Mapping[str, str], *, severity: str = "error") -> None:
        checks = checks_of(contract("silver.interactions"))
        self.verdicts = [
            {
                "name": check.name,
                "passed": check.name not in found,
                "severity": severity,
                "description": check.description,
                "found": found.get(check.name, ""),
            }
            for check in checks
        ]

    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        table = {"rows": 7, "version": 3, "checks": self.verdicts, "validation": "/lake/validations/x/3.json"}
        return {
            "tables": {"silver.interactions": table if job == "ingest" else {}},
            "warnings": [],
            "seconds": 1.0,
            "check_seconds": 0.1,
            "peak_mb": 1.0,
            "log": "/logs/job.log",
        }


def night_of(tmp_path: Path, runner: Reporting) -> dg.ExecuteInProcessResult:
    settings = Settings(data_dir=tmp_path, tecd="/nowhere")
    partitions = nights(settings)
    made = job_assets(
        "ingest",
        group="ingest",
        outputs={"silver/interactions": "behaviour", "silver/people": "people"},
        partitions=partitions,
    )
    below = job_assets(
        "features",
        group="features",
        outputs={"gold/segments": "segments"},
        deps=("silver/interactions",),
        partitions=partitions,
    )
    return dg.materialize(
        [made, below],
        partition_key=NIGHT.isoformat(),
        resources={"settings": settings, "spark_runner": runner},
        raise_on_error=False,
    )


def made_by(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}


@pytest.mark.parametrize("table", ["silver.interactions", "gold.user_features", "bronze.deliveries"])
def test_an_asset_has_a_check_for_every_one_of_its_contract(table: str) -> None:
    specs = check_specs([table.replace(".", "/"), "ranker", "snapshot/personal"])
    assert [spec.name for spec in specs] == [check.name for check in checks_of(contract(table))]
    assert all(spec.blocking for spec in specs)


def test_a_table_that_keeps_its_contract_lets_the_night_go_on(tmp_path: Path) -> None:
    result = night_of(tmp_path, Reporting({}))
    assert result.success
    assert made_by(result) == {"silver/interactions", "silver/people", "gold/segments"}
    evaluations = result.get_asset_check_evaluations()
    assert all(evaluation.passed for evaluation in evaluations)
    assert {evaluation.check_name for evaluation in evaluations if evaluation.asset_key.path[-1] == "people"} == {
        check.name for check in checks_of(contract("silver.people"))
    }, "a table that no source filled still answers its checks"


def test_a_broken_error_stops_what_is_downstream_and_says_what_broke(tmp_path: Path) -> None:
    result = night_of(tmp_path, Reporting({"column_action": "2 of 7 rows, such as 'browse'"}))
    assert not result.success
    assert made_by(result) == {"silver/interactions", "silver/people"}, "gold/segments is not made"
    (failed,) = [evaluation for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]
    assert (failed.check_name, failed.severity) == ("column_action", dg.AssetCheckSeverity.ERROR)
    assert failed.metadata["validation"].value == "/lake/validations/x/3.json"
    step = next(event for event in result.all_events if event.is_step_failure)
    told = step.step_failure_data.user_failure_data
    assert told is not None
    assert "silver.interactions breaks its contract: action: string, never null, one of" in str(told.description)
    assert "2 of 7 rows, such as 'browse'" in str(told.description)
    assert told.metadata["exit_code"].value == 2


def test_a_broken_warning_shows_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promised = contract("silver.interactions")
    columns = tuple(column.model_copy(update={"severity": "warn"}) for column in promised.columns)
    lenient = promised.model_copy(update={"columns": columns})
    monkeypatch.setattr(
        "dagster_project.contract_checks.contract",
        lambda name: lenient if name == promised.name else contract(name),
    )
    result = night_of(tmp_path, Reporting({"column_action": "2 of 7 rows"}, severity="warn"))
    assert result.success
    assert "gold/segments" in made_by(result)
    (failed,) = [evaluation for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]
    assert failed.severity == dg.AssetCheckSeverity.WARN
