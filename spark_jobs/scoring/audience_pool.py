"""The best users of each product in total order: picked by each task among its own, then cut among all.

Total order: what the variant ranks by, as stored, descending; then the user's id.

Users are dealt to tasks by a hash, so that a product's best K of all are K / tasks in each, give or take a few. A task
hands on as many and a good few more (`PoolSize.of_task`), and the first whom it left out. Whoever stands before the
best of those, over all tasks, is known to all: the cut is exact wherever it lies before that, and where by a deal
beyond all odds it does not, fewer users are kept, who are still the best.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.audience_pool import FEWEST, SHARE
from data_contracts.columns import ITEM, SCORE, SHORTFALL, USER_ID, VARIANT
from data_contracts.vocabulary import Variant
from spark_jobs.ranking.kernel import I64

# By so many standard deviations a task may have more of the best than its part.
_SPREAD = 8.0
# Those that audiences are made by.
POOLED = frozenset({Variant.PERSONAL, Variant.UPLIFT})

_BEST, _BEYOND, _ELIGIBLE = "best", "beyond", "eligible"
_PLACE = pa.struct([(SHORTFALL, pa.int32()), (USER_ID, pa.int64())])
_USER = pa.struct([*_PLACE, pa.field(SCORE, pa.int32())])
PARTS = pa.schema(
    [(VARIANT, pa.string()), (ITEM, pa.int32()), (_ELIGIBLE, pa.int64()), (_BEYOND, _PLACE), (_BEST, pa.list_(_USER))]
)
_MOST = 65_535
_LOW = np.int64(0xFFFFFFFF)


@dataclass(frozen=True)
class Reach:
    """N users and P products: who may be shown what, with the score as stored and what the variant ranks users by.

    user_ids (N,); may_be_shown (N, P); scores, ranks uint16 (N, P).
    """

    user_ids: I64
    may_be_shown: NDArray[np.bool_]
    scores: NDArray[np.uint16]
    ranks: NDArray[np.uint16]


@dataclass(frozen=True)
class PoolSize:
    """How many users of a product are kept, `tasks` being how many share the users."""

    tasks: int
    fewest: int = FEWEST
    spread: float = _SPREAD

    def of_task(self, eligible: int) -> int:
        """How many a task hands on of a product that so many of its users may be shown."""
        share = (eligible + self.spread * eligible**0.5) / SHARE
        expected = max(self.fewest / self.tasks, share)
        return int(np.ceil(expected + self.spread * expected**0.5 + 2 * self.spread))


class Picker:
    """One task's users, as its blocks are scored; at the end the best of each product."""

    def __init__(self, size: PoolSize) -> None:
        self._size = size
        self._seen: dict[Variant, list[Reach]] = {}

    def take(self, variant: Variant, reach: Reach) -> None:
        if variant in POOLED:
            self._seen.setdefault(variant, []).append(reach)

    def parts(self) -> pa.RecordBatch:
        """A row of `PARTS` for each product that anybody may be shown: how many may, the best of them, best first, and
        the first who is left out, null where nobody is.
        """
        rows = [row for variant, blocks in sorted(self._seen.items()) for row in self._rows(variant, blocks)]
        columns = [[row[name] for row in rows] for name in (VARIANT, ITEM, _ELIGIBLE, _BEYOND)]
        best = pa.concat_arrays([pa.array([], _USER), *(row[_BEST] for row in rows)])
        ends = np.cumsum([0, *(len(row[_BEST]) for row in rows)]).astype(np.int32)
        arrays = [pa.array(values, PARTS.field(number).type) for number, values in enumerate(columns)]
        lists = pa.ListArray.from_arrays(pa.array(ends), best)
        return pa.RecordBatch.from_arrays([*arrays, lists.cast(PARTS.field(_BEST).type)], schema=PARTS)

    def _rows(self, variant: Variant, blocks: list[Reach]) -> list[dict[str, Any]]:
        user_ids = np.concatenate([block.user_ids for block in blocks])
        order = np.argsort(user_ids)
        may, ranks, scores = (
            np.ascontiguousarray(np.concatenate([getattr(block, name) for block in blocks])[order].T)
            for name in ("may_be_shown", "ranks", "scores")
        )
        found = []
        for item in np.flatnonzero(may.any(axis=1)).tolist():
            rows = np.flatnonzero(may[item])
            best, beyond = _picked(_MOST - ranks[item, rows].astype(np.int64), self._size.of_task(len(rows)))
            short, users = (best >> 32).astype(np.int32), rows[best & _LOW]
            theirs = (short, user_ids[order[users]], scores[item, users].astype(np.int32))
            first_out = None if beyond is None else user_ids[order[rows[beyond & int(_LOW)]]]
            found.append(
                {
                    VARIANT: variant.value,
                    ITEM: item,
                    _ELIGIBLE: len(rows),
                    _BEYOND: None if beyond is None else {SHORTFALL: beyond >> 32, USER_ID: first_out},
                    _BEST: pa.StructArray.from_arrays([pa.array(values) for values in theirs], fields=list(_USER)),
                }
            )
        return found


def _picked(shortfalls: I64, most: int) -> tuple[I64, int | None]:
    """Keys (shortfall, and in the low half the place in `shortfalls`) of the best `most`, best first, and of the next;
    of equals those come first that stand first.
    """
    keys = shortfalls << 32 | np.arange(len(shortfalls))
    if len(keys) <= most:
        return np.sort(keys), None
    keys.partition(most)
    return np.sort(keys[:most]), int(keys[most])


def audience_pool(parts: DataFrame, *, fewest: int = FEWEST) -> DataFrame:
    """The snapshot's table: of each variant and product the best users of all tasks' `PARTS`, in total order."""
    totals = parts.groupBy(VARIANT, ITEM).agg(F.sum(_ELIGIBLE).alias(_ELIGIBLE), F.min(_BEYOND).alias(_BEYOND))
    users = parts.select(VARIANT, ITEM, F.inline(_BEST)).join(F.broadcast(totals), [VARIANT, ITEM])
    place = F.row_number().over(Window.partitionBy(VARIANT, ITEM).orderBy(SHORTFALL, USER_ID))
    most = F.greatest(F.lit(fewest), F.ceil(F.col(_ELIGIBLE) / SHARE))
    is_known_to_all = F.col(_BEYOND).isNull() | (F.struct(SHORTFALL, USER_ID) < F.col(_BEYOND))
    kept = users.withColumn("place", place).where((F.col("place") <= most) & is_known_to_all)
    return kept.select(VARIANT, ITEM, SHORTFALL, USER_ID, SCORE)
