"""Real T-ECD days: the time of a whole night on three of them, and how good its lists are on the last."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from infra.bench.figure import Figure
from infra.bench.process import measure

# Beside the checkout; not part of the project (CC BY-NC-SA 4.0).
TECD = Path(__file__).resolve().parents[3] / "shared" / "data" / "tecd"
_METRIC = "ndcg@10"


def run() -> list[Figure]:
    """Raises InputError where the days are not there."""
    if not TECD.exists():
        raise InputError(f"no T-ECD days in {TECD}: put marketplace/events/01294.pq to 01296.pq there")
    recs = [sys.executable, "-m", "infra.cli"]
    source = ["--tecd", str(TECD), "--offer-domains", "marketplace"]
    with tempfile.TemporaryDirectory() as folder:
        night = measure([*recs, "night", *source, "--day", "1297", "--data-dir", folder], env=dict(os.environ))
    test = measure(
        [*recs, "backtest", *source, "--test-day", "1296", "--k", "10", "--seeds", "3", "--json"], env=dict(os.environ)
    )
    return [
        Figure("night on three days", round(night.seconds), "s", goal=360),
        Figure("night, peak memory of all processes", round(night.peak_mb / 1000, 2), "GB"),
        *_quality(json.loads(test.output[test.output.index("{") :])),
    ]


def _quality(report: Mapping[str, Any]) -> list[Figure]:
    """NDCG@10 of users with history; the goals are lower ends of paired intervals."""
    figures = []
    for label in ("any", "click"):
        sources = report[label]["history"]
        figures += [
            Figure(
                f"NDCG@10, {label} action, {name}",
                round(values[_METRIC]["value"], 4),
                "",
                better="higher",
                note=_range(values[_METRIC].get("seeds", ())),
            )
            for name, values in sources.items()
            if _METRIC in values and not name.startswith("ranked-")
        ]
    over_blend = report["any"]["history"]["ranked-blend"][_METRIC]
    over_popular = report["click"]["history"]["ranked-popular"][_METRIC]
    return [
        *figures,
        _interval("ranked over rank fusion, any action", over_blend, goal=0.04),
        _interval("ranked over popular, clicks", over_popular, goal=-0.01),
    ]


def _range(seeds: Sequence[float]) -> str:
    """Only what learns depends on the seed."""
    differ = len(set(seeds)) > 1
    return f"mean of {len(seeds)} seeds, {min(seeds):.4f} to {max(seeds):.4f}" if differ else ""


def _interval(name: str, difference: Mapping[str, float], *, goal: float) -> Figure:
    note = f"lower end of the paired 95 % interval; mean {difference['value']:+.4f}"
    return Figure(f"NDCG@10, {name}", round(difference["low"], 4), "", goal=goal, better="higher", note=note)
