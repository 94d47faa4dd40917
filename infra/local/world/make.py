"""Makes a world in an empty folder: first people and what they come to open, block by block, then files, day by day."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.local.world.days import build_scene, write_days
from infra.local.world.dwh import delivery_days, write_delivery
from infra.local.world.log import DayLog, SpellRows
from infra.local.world.offering import Offering, build_offering
from infra.local.world.parquet import large, words
from infra.local.world.people import People
from infra.local.world.plan import Plan
from infra.local.world.process import BlockHistory, live
from infra.local.world.reference import read_reference, write_reference
from infra.local.world.tecd_static import write_tecd_static
from infra.local.world.truth import opening_probability

Progress = Callable[[str, float], None]

_BLOCK = 50_000
_TRUTH_TABLE = "truth/product_probability"
_TRUTH = pa.schema([("user_id", pa.int64()), ("product_id", pa.large_string()), ("probability", pa.float64())])


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


def make_world(folder: Path, plan: Plan, *, progress: Progress = silent, processes: int = 1) -> dict[str, int]:
    """Rows written by table. The bytes do not depend on the number of processes."""
    folder.mkdir(exist_ok=True)
    reference = read_reference(plan)
    write_reference(reference, folder / "reference")
    scene = build_scene(plan)
    offering = build_offering(reference.catalogue, reference.rules, scene.params)
    rows: Counter[str] = Counter()
    rows.update(_prefixed("tecd", write_tecd_static(scene, folder / "tecd")))
    lived = _live_all(folder, scene.people, offering, plan, progress=progress)
    rows[_TRUTH_TABLE] = lived.truth_rows
    deliveries = delivery_days(plan)
    for number, day in enumerate(deliveries):
        written = write_delivery(scene.people, lived.spells, offering, plan, folder / "dwh", day=day)
        rows.update(_prefixed("dwh", written))
        progress("exports", (number + 1) / len(deliveries))
    for number, written in enumerate(write_days(scene, offering, lived.logs, folder, processes=processes)):
        rows.update(written)
        progress("days", (number + 1) / plan.days)
    return dict(sorted(rows.items()))


def _prefixed(prefix: str, rows: dict[str, int]) -> dict[str, int]:
    return {f"{prefix}/{name}": count for name, count in rows.items()}


@dataclass(frozen=True)
class Lives:
    """What everybody did, a log a day, and all times of holding."""

    logs: list[DayLog]
    spells: SpellRows
    truth_rows: int


def _live_all(folder: Path, people: People, offering: Offering, plan: Plan, *, progress: Progress) -> Lives:
    """Live the history of all blocks; write the truth that follows from where each stands on D."""
    logs: list[list[DayLog]] = [[] for _ in range(plan.days)]
    spells: list[SpellRows] = []
    truth_rows = 0
    path = folder / f"{_TRUTH_TABLE}.parquet"
    path.parent.mkdir()
    with pq.ParquetWriter(path, _TRUTH) as truth:
        for start, block, history in _histories(people, offering, plan):
            for day, log in enumerate(history.logs):
                logs[day].append(log.moved(start))
            spells.append(history.spells.moved(start))
            table = truth_table(block, history, offering, plan)
            truth.write_table(table)
            truth_rows += table.num_rows
            progress("people", (start + len(block)) / plan.users)
    return Lives([DayLog.concat(parts) for parts in logs], SpellRows.concat(spells), truth_rows)


def _histories(people: People, offering: Offering, plan: Plan) -> Iterator[tuple[int, People, BlockHistory]]:
    for number, start in enumerate(range(0, plan.users, _BLOCK)):
        block = people.block(start, min(start + _BLOCK, plan.users))
        yield start, block, live(block, offering, plan, number=number, until=plan.days)


def truth_table(people: People, history: BlockHistory, offering: Offering, plan: Plan) -> pa.Table:
    """A row for every customer and every product on sale, eligible for and not held; 0 where the rules forbid it."""
    chance = opening_probability(history.minds, history.review, offering, day=plan.days, horizon=plan.horizon_days)
    user, product = np.nonzero(history.review.listed)
    ids = large(*(p.product_id for p in offering.products))
    return pa.table(
        [pa.array(people.user_id[user]), words(ids, product), pa.array(chance[user, product])], schema=_TRUTH
    )
