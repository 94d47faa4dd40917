"""What `recs backtest` shows: one row a label, slice and source, its metrics with their 95 % intervals."""

from collections.abc import Iterable
from typing import Any

from spark_jobs.evaluation.intervals import Estimate
from spark_jobs.evaluation.report import Row


def table_rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Metrics become columns."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row.label, row.slice, row.source)
        line = found.setdefault(key, {"label": row.label, "slice": row.slice, "source": row.source})
        line[row.metric] = _text(row.estimate)
    names = list(dict.fromkeys(name for line in found.values() for name in line))
    return [{name: line.get(name) for name in names} for line in found.values()]


def _text(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
