"""A night without Spark for tests of the graph: jobs that report what they are told, and a folder for the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project.assets import features, ingest, publish, ranking, retrieval, scoring
from dagster_project.reporting import REPORT
from data_contracts.night import NightParams
from data_contracts.settings import Settings

# Dagster's own log lines by the thousand say nothing to a test.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_OUTPUTS = {
    "ingest": ingest.OUTPUTS,
    "features": features.OUTPUTS,
    "retrieval": retrieval.OUTPUTS,
    "ranking": ranking.OUTPUTS,
    "scoring": scoring.OUTPUTS,
    "seal": publish.SEAL_OUTPUTS,
    "report": {REPORT: "a page"},
}


@dataclass
class FakeRunner:
    """A SparkRunner whose jobs make rows of nothing. `contents`: table -> what it holds now, for ingest's tables;
    `failures`: raised one a call, first of all. `stopped`: why the gate stopped the snapshot.
    """

    contents: dict[str, str] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    ran: list[tuple[str, str]] = field(default_factory=list)
    params: list[NightParams] = field(default_factory=list)
    stopped: str = ""

    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        self.ran.append((job, params.as_of.isoformat()))
        self.params.append(params)
        if self.failures:
            raise self.failures.pop(0)
        tables = {name.replace("/", "."): self._table(job, name) for name in _OUTPUTS[job]}
        return {"tables": tables, "seconds": 1.0, "peak_mb": 10, "jvm_peak_mb": 5, "log": "job.log"}

    def _table(self, job: str, name: str) -> dict[str, Any]:
        table: dict[str, Any] = {"rows": 3, "read": 5, "quarantined": 2, "reasons": {"unknown action_type": 2}}
        if job == "seal" and self.stopped:
            broken = {"name": "coverage", "passed": False, "description": "share", "found": "0.5, limit 0.99"}
            return {**table, "checks": [broken], "details": {"stopped": self.stopped}}
        return {**table, "fingerprint": self.contents.get(name, name)} if job == "ingest" else table


def settings_in(folder: Path, **more: Any) -> Settings:
    """Settings of a night that reads and writes below `folder`."""
    return Settings(data_dir=folder, tecd=str(folder / "tecd"), retry_seconds=0.01, **more)
