"""What a backtest found, for programs (JSON) and people (rows of a table)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spark_jobs.evaluation.intervals import Estimate

# Sources that compare two others are named like `ranked-blend`; `ranked dealt` deals its lists to other users.
Figures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Estimate]]]]


@dataclass(frozen=True)
class Row:
    """One line of the table for people."""

    label: str
    slice: str
    source: str
    metric: str
    estimate: Estimate


@dataclass(frozen=True)
class BacktestReport:
    """figures: label -> slice -> source -> metric -> estimate."""

    figures: Figures

    def as_json(self) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
        return {
            label: {
                name: {
                    source: {metric: estimate.as_json() for metric, estimate in metrics.items()}
                    for source, metrics in sources.items()
                }
                for name, sources in slices.items()
            }
            for label, slices in self.figures.items()
        }

    def to_json(self) -> str:
        return json.dumps(self.as_json(), indent=1)

    def rows(self) -> list[Row]:
        return [
            Row(label, name, source, metric, estimate)
            for label, slices in self.figures.items()
            for name, sources in slices.items()
            for source, metrics in sources.items()
            for metric, estimate in metrics.items()
        ]
