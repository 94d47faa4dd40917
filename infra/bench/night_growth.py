"""How a night's cost grows: with days of history it must not, with users it must in proportion, at flat memory a task.

A night is measured as it comes, after the night before it: one new day, everything older already folded. Publishing is
a benchmark of its own and left out.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from data_contracts.night import NightParams, Sources
from infra.bench.figure import Figure
from infra.bench.process import measure
from infra.local.world import generate

HISTORY_DAYS = (30, 90, 300)
HISTORY_USERS = 500
USERS = (10_000, 100_000, 1_000_000)
USERS_DAYS = 14
LAST_DATE = date(2026, 3, 16)
_HORIZON_DAYS = 2
_JOBS = ("ingest", "features", "retrieval", "ranking", "scoring", "seal")
_STATE_JOBS = ("ingest", "features")
# Nights measured of each length of history; the quickest counts, since what disturbs a machine only adds.
_NIGHTS = 2


@dataclass(frozen=True)
class NightCost:
    """Seconds of the jobs together; the largest Python worker of any of them, MB."""

    seconds: float
    worker_mb: float


def by_history() -> list[Figure]:
    """Half an hour."""
    return history_figures(HISTORY_DAYS)


def by_users() -> list[Figure]:
    """About two hours, most of them for a million users."""
    return users_figures(USERS)


def history_figures(lengths: Sequence[int]) -> list[Figure]:
    costs = {days: measured_night(users=HISTORY_USERS, days=days, nights=_NIGHTS, big=False) for days in lengths}
    shortest = costs[lengths[0]].seconds
    first = Figure(f"night on {lengths[0]} days of history, {HISTORY_USERS} users", round(shortest, 1), "s")
    return [
        first,
        *(
            Figure(
                f"night on {days} days of history",
                round(costs[days].seconds, 1),
                "s",
                reference=round(shortest, 1),
                goal=1.15,
                goal_on="ratio",
                note=f"reference: {lengths[0]} days",
            )
            for days in lengths[1:]
        ),
    ]


def users_figures(sizes: Sequence[int]) -> list[Figure]:
    costs = {users: measured_night(users=users, days=USERS_DAYS, nights=1, big=True) for users in sizes}
    figures = []
    for users, fewer in zip(sizes[1:], sizes, strict=False):
        each, before = (costs[size].seconds / size * 10_000 for size in (users, fewer))
        figures += [
            Figure(
                f"night of {users:,} users, seconds per 10,000",
                round(each, 1),
                "s",
                reference=round(before, 1),
                goal=1.2,
                goal_on="ratio",
                note=f"reference: {fewer:,} users",
            ),
            Figure(
                f"largest worker, {users:,} users",
                round(costs[users].worker_mb),
                "MB",
                reference=round(costs[fewer].worker_mb),
                goal=1.2,
                goal_on="ratio",
                note=f"reference: {fewer:,} users",
            ),
        ]
    return figures


def measured_night(*, users: int, days: int, nights: int, big: bool) -> NightCost:
    """The night after `days` days of history, whose state the night before it left."""
    with tempfile.TemporaryDirectory(prefix="night-growth-") as folder:
        world = Path(folder) / "world"
        generate(world, users=users, days=days + nights, seed=7, last_date=LAST_DATE, horizon_days=_HORIZON_DAYS)
        first = LAST_DATE - timedelta(days=nights)
        for job in _STATE_JOBS:
            run_job(job, night_params(folder, world, first), big=big)
        costs = []
        for number in range(nights):
            params = night_params(folder, world, first + timedelta(days=number + 1))
            jobs = [run_job(job, params, big=big) for job in _JOBS]
            costs.append(NightCost(sum(cost.seconds for cost in jobs), max(cost.worker_mb for cost in jobs)))
    return NightCost(min(cost.seconds for cost in costs), max(cost.worker_mb for cost in costs))


def night_params(folder: str, world: Path, as_of: date, *, horizon_days: int = _HORIZON_DAYS) -> NightParams:
    """A night of a sample world, its lake in `folder`."""
    places = {name: str(world / name) for name in ("tecd", "dwh", "events", "reference")}
    return NightParams(as_of=as_of, lake=f"{folder}/lake", sources=Sources(**places), product_horizon_days=horizon_days)


def run_job(job: str, params: NightParams, *, big: bool) -> NightCost:
    """One job of a night, as a process."""
    measured = measure(
        [sys.executable, "-m", f"spark_jobs.jobs.{job}", params.model_dump_json()], env=_environment(big)
    )
    return NightCost(measured.seconds, measured.worker_mb)


def _environment(big: bool) -> Mapping[str, str]:
    """Nights of many users get a driver's memory and the good compiler."""
    chosen = {"RECS_SPARK_DRIVER_MEMORY": "8g", "RECS_SPARK_JAVA_OPTIONS": ""} if big else {}
    return {**os.environ, **chosen}
