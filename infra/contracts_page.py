"""Contracts as people read them: rows for the terminal, and one page for everybody, from `contracts.html`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_contracts.checks import bound_text, checks_of
from data_contracts.tables import Column, TableContract

_TEMPLATE = Path(__file__).parent / "contracts.html"
_PLACE = "__CONTRACTS__"


def contract_rows(contracts: Iterable[TableContract]) -> list[dict[str, Any]]:
    return [
        {
            "table": one.name,
            "version": one.version,
            "grain": one.grain,
            "key": ", ".join(one.key),
            "fresh within": f"{one.freshness_hours} h",
            "kept": retention(one),
            "columns": len(one.columns),
            "checks": len(checks_of(one)),
            "owner": one.owner,
        }
        for one in contracts
    ]


def column_rows(promised: TableContract) -> list[dict[str, Any]]:
    return [
        {
            "column": column.name,
            "type": column.type.value,
            "null": "may be" if column.nullable else "never",
            "values": allowed(column),
            "unit": column.unit,
            "PII": column.pii.value,
            "when broken": column.severity.value,
            "description": column.description,
        }
        for column in promised.columns
    ]


def sentences(promised: TableContract) -> list[str]:
    """What is true of the whole table."""
    checks = len(checks_of(promised))
    return [
        f"{promised.name} {promised.version}: {promised.grain}",
        f"owner {promised.owner}; fresh within {promised.freshness_hours} hours; kept {retention(promised)}",
        f"key {', '.join(promised.key) or 'none'}; partitioned by {', '.join(promised.partition_by) or 'nothing'}",
        f"{checks} checks" if checks else "checked otherwise: row by row when written, or by the publish gate",
    ]


def retention(promised: TableContract) -> str:
    return "for ever" if promised.retention_days is None else f"{promised.retention_days} days"


def allowed(column: Column) -> str:
    """Its vocabulary or range, as in `0 to 90`."""
    if column.values is not None:
        return ", ".join(value or "''" for value in column.values)
    low, high = (None if bound is None else bound_text(bound) for bound in (column.min, column.max))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"from {low}" if low is not None else f"up to {high}" if high is not None else ""


def page(contracts: Iterable[TableContract]) -> str:
    """A whole HTML document with its style, script and data in it."""
    data = [
        {
            "name": one.name,
            "layer": one.layer.value,
            "version": one.version,
            "grain": one.grain,
            "owner": one.owner,
            "freshness": one.freshness_hours,
            "retention": retention(one),
            "key": one.key,
            "partitions": one.partition_by,
            "features": one.feature_columns,
            "checks": [{"what": check.description, "severity": check.severity.value} for check in checks_of(one)],
            "columns": column_rows(one),
        }
        for one in contracts
    ]
    # "</script>" in a description must not end the script that carries it.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return _TEMPLATE.read_text(encoding="utf-8").replace(_PLACE, text)
