"""The sample world: one folder that holds everything a night can be given, and the truth to judge it by.

    {out}/tecd       the partner ecosystem, in T-ECD's published layout
    {out}/dwh        exports of customers, holdings and monthly aggregates
    {out}/events     the bank's own events as landed Avro
    {out}/reference  catalogue, rules, reasons
    {out}/truth      product_probability.parquet: user_id, product_id, probability; only evaluation may read it
    {out}/world.json what it was made from, and how many rows each table has

The same parameters give the same bytes. A world is written beside its place and renamed when complete.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from infra.local.world.make import Progress, make_world, silent
from infra.local.world.plan import GENERATOR, Plan

_WORTH_PROCESSES = 1_500_000  # user-days


@dataclass(frozen=True)
class WorldSummary:
    """What is in a world. `made` is false where it was there already. `rows` counts rows by table."""

    path: Path
    users: int
    days: int
    seed: int
    horizon_days: int
    first_day: date
    last_date: date
    rows: dict[str, int]
    made: bool


def generate(
    out: Path,
    *,
    users: int,
    days: int,
    seed: int,
    last_date: date,
    horizon_days: int,
    progress: Progress = silent,
) -> WorldSummary:
    """Make the world of these parameters at `out`, or find it there. `progress` is told what is done, from 0 to 1.

    The world's days are the `days` before `last_date`, which is D. Raises InputError where `out` holds anything else.
    """
    plan = Plan(users=users, days=days, seed=seed, last_date=last_date, horizon_days=horizon_days)
    rows = _rows_there(out, plan)
    if rows is not None:
        return _summary(out, plan, rows, made=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        rows = make_world(workshop, plan, progress=progress, processes=_processes(plan))
        note = {**_parameters(plan), "rows": rows}
        (workshop / "world.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        workshop.chmod(0o755)
        workshop.replace(out)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return _summary(out, plan, rows, made=True)


def _processes(plan: Plan) -> int:
    """Small worlds are made before other processes would have started."""
    return (os.cpu_count() or 1) if plan.users * plan.days >= _WORTH_PROCESSES else 1


def _parameters(plan: Plan) -> dict[str, Any]:
    return {
        "users": plan.users,
        "days": plan.days,
        "seed": plan.seed,
        "horizon_days": plan.horizon_days,
        "first_day": plan.first_day.isoformat(),
        "date": plan.last_date.isoformat(),
        "generator": GENERATOR,
    }


def _rows_there(out: Path, plan: Plan) -> dict[str, int] | None:
    """Rows by table if this very world is there already; None if nothing is."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    note = out / "world.json"
    if not note.is_file():
        raise InputError(f"{out} is not empty and holds no sample world: give another folder, or empty it")
    found = json.loads(note.read_text(encoding="utf-8"))
    rows: dict[str, int] = found.pop("rows", {})
    if found != _parameters(plan):
        other = ", ".join(f"{name} {value}" for name, value in found.items())
        raise InputError(f"{out} holds another sample world ({other}): give another folder, or delete it")
    return rows


def _summary(out: Path, plan: Plan, rows: dict[str, int], *, made: bool) -> WorldSummary:
    return WorldSummary(
        path=out,
        users=plan.users,
        days=plan.days,
        seed=plan.seed,
        horizon_days=plan.horizon_days,
        first_day=plan.first_day,
        last_date=plan.last_date,
        rows=rows,
        made=made,
    )
