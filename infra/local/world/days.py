"""Writes a world's days. Each is made from streams of its own, so several processes give the same bytes as one."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from infra.local.world.bank import write_bank_day
from infra.local.world.crowd import todays_wants
from infra.local.world.log import DayLog
from infra.local.world.offering import Offering, build_offering
from infra.local.world.parameters import parameters
from infra.local.world.people import draw_people
from infra.local.world.plan import Plan
from infra.local.world.reference import read_reference
from infra.local.world.tecd import Scene, write_tecd_day
from infra.local.world.universe import draw_universe


def build_scene(plan: Plan) -> Scene:
    params = parameters()
    universe = draw_universe(plan, params)
    ids = {domain: shelf.ids() for domain, shelf in universe.shelves.items()}
    return Scene(plan, params, draw_people(plan, params), universe, ids)


def write_days(
    scene: Scene, offering: Offering, logs: Sequence[DayLog], folder: Path, *, processes: int
) -> Iterator[dict[str, int]]:
    """Rows by table of each day, in order of days."""
    plan = scene.plan
    if processes == 1:
        for day, log in enumerate(logs):
            yield write_day(scene, offering, log, folder, day=day)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        n = len(logs)
        yield from pool.map(_write_day_apart, [plan] * n, logs, [folder] * n, range(n))


def write_day(scene: Scene, offering: Offering, log: DayLog, folder: Path, *, day: int) -> dict[str, int]:
    rng = scene.plan.rng("wants", day)
    wants = todays_wants(rng, log.intents, scene.params, users=len(scene.people))
    partners = write_tecd_day(scene, wants, folder / "tecd", day=day)
    bank = write_bank_day(scene, offering, wants, log, folder / "events", day=day)
    return {f"tecd/{name}": rows for name, rows in partners.items()} | {f"events/{name}": n for name, n in bank.items()}


@cache
def _stage(plan: Plan) -> tuple[Scene, Offering]:
    """Drawn anew in each process: quicker than to be sent."""
    scene, reference = build_scene(plan), read_reference(plan)
    return scene, build_offering(reference.catalogue, reference.rules, scene.params)


def _write_day_apart(plan: Plan, log: DayLog, folder: Path, day: int) -> dict[str, int]:
    return write_day(*_stage(plan), log, folder, day=day)
