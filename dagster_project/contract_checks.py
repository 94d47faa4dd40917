"""A table's contract as Dagster shows it: the checks an asset has, how they ended, and what a broken one stops."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_project.failures import failure_of
from data_contracts.checks import Check, checks_of
from data_contracts.errors import InputError
from data_contracts.tables import Severity, contract, table_names

_SEVERITIES = {Severity.ERROR: dg.AssetCheckSeverity.ERROR, Severity.WARN: dg.AssetCheckSeverity.WARN}
_NOT_MADE = "nothing was ever written, so nothing breaks the contract"


def check_specs(assets: Iterable[str]) -> list[dg.AssetCheckSpec]:
    """Of those assets, keys with slashes, that are tables with a contract. An error blocks what is downstream."""
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=dg.AssetKey(asset.split("/")),
            description=check.description,
            blocking=check.severity is Severity.ERROR,
            metadata={"contract": f"{_table(asset)} {contract(_table(asset)).version}"},
        )
        for asset in assets
        for check in _checks(asset)
    ]


def check_results(report: Mapping[str, Any], asset: str) -> list[dg.AssetCheckResult]:
    """One for every check of the asset, from what its job reported."""
    table = report["tables"].get(_table(asset), {})
    verdicts = {verdict["name"]: verdict for verdict in table.get("checks", ())}
    kept = {"validation": dg.MetadataValue.path(table["validation"])} if table.get("validation") else {}
    return [
        dg.AssetCheckResult(
            check_name=check.name,
            asset_key=dg.AssetKey(asset.split("/")),
            passed=verdicts.get(check.name, {"passed": True})["passed"],
            severity=_SEVERITIES[check.severity],
            description=verdicts[check.name]["found"] or check.description if check.name in verdicts else _NOT_MADE,
            metadata=kept,
        )
        for check in _checks(asset)
    ]


def require_kept(report: Mapping[str, Any], assets: Iterable[str]) -> None:
    """Raises dagster.Failure naming every error check that failed, so that nothing is made from such a table."""
    broken = [line for asset in assets for line in _broken(report["tables"].get(_table(asset), {}), _table(asset))]
    if broken:
        raise failure_of(InputError(f"{'; '.join(broken)}; nothing is made from it until it is repaired"))


def _broken(table: Mapping[str, Any], name: str) -> Iterator[str]:
    for verdict in table.get("checks", ()):
        if not verdict["passed"] and verdict["severity"] == Severity.ERROR:
            what = f"{verdict['description']} ({verdict['found']})"
            yield f"{name} breaks its contract: {what}, see {table['validation']}"


def _checks(asset: str) -> tuple[Check, ...]:
    return checks_of(contract(_table(asset))) if _table(asset) in table_names() else ()


def _table(asset: str) -> str:
    return asset.replace("/", ".")
