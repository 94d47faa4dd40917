"""What share of a night goes into checking its tables against their contracts: the sample world's smallest night, where
checks weigh most, since a table costs about the same whatever it holds.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from data_contracts.errors import RecsError
from data_contracts.night import NightParams, Sources
from infra.bench.figure import Figure
from infra.local.world import generate

USERS, DAYS, HORIZON_DAYS = 400, 16, 3
LAST_DATE = date(2026, 3, 16)
_JOBS = ("ingest", "features", "retrieval", "ranking", "scoring", "seal")
_MOST = 0.15
_LOAD = "import spark_jobs.lake.great_expectations"
_LOAD_NOTHING = "import pyspark.sql, pandas, pyarrow"


def run() -> list[Figure]:
    """Without publishing, so the share is rather too high. Loading Great Expectations passes while Spark starts; the
    second share counts it in full, as if nothing else could have used that time.
    """
    with tempfile.TemporaryDirectory(prefix="checks-") as folder:
        world = Path(folder) / "world"
        generate(world, users=USERS, days=DAYS, seed=7, last_date=LAST_DATE, horizon_days=HORIZON_DAYS)
        sources = Sources(**{name: str(world / name) for name in ("tecd", "dwh", "events", "reference")})
        params = NightParams(as_of=LAST_DATE, lake=f"{folder}/lake", sources=sources, product_horizon_days=HORIZON_DAYS)
        reports = [_report(job, params) for job in _JOBS]
    night, checks = (sum(report[name] for report in reports) for name in ("seconds", "check_seconds"))
    checked = [table for report in reports for table in report["tables"].values() if table["checks"]]
    loading = (_seconds(_LOAD) - _seconds(_LOAD_NOTHING)) * sum(1 for report in reports if report["check_seconds"])
    verdicts = sum(len(table["checks"]) for table in checked)
    told = f"{verdicts} checks of {len(checked)} tables in {checks:.0f} of {night:.0f} s; {USERS} users, {DAYS} days"
    return [
        Figure("checks, share of the night", round(checks / night, 3), "", goal=_MOST, note=told),
        Figure(
            "the same and loading the library, counted in full",
            round((checks + loading) / night, 3),
            "",
            goal=_MOST,
            note=f"{loading:.0f} s of loading, which pass while Spark starts",
        ),
    ]


def _report(job: str, params: NightParams) -> Mapping[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", f"spark_jobs.jobs.{job}", params.model_dump_json()],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RecsError(f"job {job} ended with code {ended.returncode}: {ended.stderr[-2000:]}")
    report: Mapping[str, Any] = json.loads(ended.stdout)["report"]
    return report


def _seconds(code: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=dict(os.environ))
    return time.monotonic() - started
