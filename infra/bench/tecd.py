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
_SOURCES = ("popular", "repeat", "als", "itemcf", "blend", "ranked")


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
    """NDCG@10 of users with history, beside that of the same lists dealt to other users; the goals are lower ends of
    paired intervals.
    """
    figures = [
        _figure(f"NDCG@10, {label} action, {name}", sources[name][_METRIC], sources[f"{name} dealt"][_METRIC])
        for label, sources in ((label, report[label]["history"]) for label in ("any", "click"))
        for name in _SOURCES
    ]
    over_blend = report["any"]["history"]["ranked-blend"][_METRIC]
    over_popular = report["click"]["history"]["ranked-popular"][_METRIC]
    return [
        *figures,
        _tail(report["any"]["tail"]),
        _interval("ranked over rank fusion, any action", over_blend, goal=0.05),
        _interval("ranked over popular, clicks", over_popular, goal=-0.01),
        Figure(
            "NDCG@10, ranked over popular, clicks, mean", round(over_popular["value"], 4), "", goal=0, better="higher"
        ),
    ]


def _tail(sources: Mapping[str, Any]) -> Figure:
    """Lists and what was met without the 50 most popular items; the reference is equal rank fusion."""
    ranked, blend = (round(sources[name][_METRIC]["value"], 4) for name in ("ranked", "blend"))
    return Figure(
        "NDCG@10, any action, ranked, without the 50 most popular items",
        ranked,
        "",
        reference=blend,
        goal=1.3,
        goal_on="ratio",
        better="higher",
        note="reference: rank fusion",
    )


def _figure(name: str, own: Mapping[str, Any], dealt: Mapping[str, Any]) -> Figure:
    notes = [f"{own['low']:.4f} to {own['high']:.4f}", _range(own.get("seeds", ()))]
    return Figure(
        name,
        round(own["value"], 4),
        "",
        reference=round(dealt["value"], 4),
        better="higher",
        note="; ".join(note for note in notes if note),
    )


def _range(seeds: Sequence[float]) -> str:
    """Only what learns depends on the seed."""
    differ = len(set(seeds)) > 1
    return f"{len(seeds)} seeds from {min(seeds):.4f} to {max(seeds):.4f}" if differ else ""


def _interval(name: str, difference: Mapping[str, float], *, goal: float) -> Figure:
    note = f"lower end of the paired 95 % interval; mean {difference['value']:+.4f}"
    return Figure(f"NDCG@10, {name}", round(difference["low"], 4), "", goal=goal, better="higher", note=note)
