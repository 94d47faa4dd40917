"""The publish gate as Dagster shows it: a check a rule of `gate.yaml`, drift among them, on the snapshot's manifest."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_project.asset_specs import asset_key
from dagster_project.shown import report_of
from data_contracts.errors import GateError
from data_contracts.gate import GateRule, gate_rules

_NOT_ASKED = "not asked: there was nothing to hold it against"


def gate_check_specs(asset: str) -> list[dg.AssetCheckSpec]:
    """None of them blocks by itself: the step fails, after every verdict was told."""
    return [
        dg.AssetCheckSpec(name, asset=asset_key(asset), description=f"{_limit(rule)}: {rule.reason}")
        for name, rule in gate_rules().items()
    ]


def gate_check_results(report: Mapping[str, Any], asset: str) -> list[dg.AssetCheckResult]:
    """One for every rule, from the verdicts that sealing reported."""
    verdicts = {verdict["name"]: verdict for verdict in report_of(report, asset).get("checks", ())}
    return [
        dg.AssetCheckResult(
            check_name=name,
            asset_key=asset_key(asset),
            passed=verdicts[name]["passed"] if name in verdicts else True,
            description=f"{verdicts[name]['found']}: {verdicts[name]['description']}"
            if name in verdicts
            else _NOT_ASKED,
        )
        for name in gate_rules()
    ]


def stopped_by(report: Mapping[str, Any], asset: str) -> GateError | None:
    """Why the snapshot may not be shown, in words; None where it may."""
    why = report_of(report, asset).get("details", {}).get("stopped")
    return GateError(why) if why else None


def _limit(rule: GateRule) -> str:
    return f"at least {rule.at_least:g}" if rule.at_least is not None else f"at most {rule.at_most:g}"
