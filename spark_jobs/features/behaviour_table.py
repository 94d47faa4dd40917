"""`gold.user_behaviour`: the state that features are made from, one row a user and as-of, folded in Spark's workers.

Belongs here: how states travel as binary columns, and how Spark brings a user's state and events together. Does not:
what a state is (`cells`), nor which as-of is made from which (`increments`).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, USER_ID, WEIGHT
from spark_jobs.features.cells import CELL, ITEM, NO_TOPIC, Behaviour, Happenings, Longs, fold_day, topic_code
from spark_jobs.features.days import DaySpan
from spark_jobs.features.packed import binary, unpacked
from spark_jobs.features.streams import CODE, TIME, TOPIC
from spark_jobs.features.streams import ITEM as ITEM_NUMBER
from spark_jobs.features.whole_users import whole_users

BEHAVIOUR = "gold.user_behaviour"
CELLS, ITEMS = "cells", "items"
_STATE = (CELLS, ITEMS)
_EVENT = (TIME, CODE, TOPIC, ITEM_NUMBER, WEIGHT)
_DDL = f"{USER_ID} bigint, {AS_OF} date, {CELLS} binary, {ITEMS} binary"


def folded(
    before: DataFrame | None, events: DataFrame, days: Sequence[DaySpan], as_ofs: Sequence[date], *, partitions: int
) -> DataFrame:
    """Rows of gold.user_behaviour at each of `as_ofs`, from the state before the first of `days` and the events since.

    before: user_id, cells, items; none where nothing is known before. A user whose state is empty has no row.
    """
    wanted = frozenset(as_ofs)

    def fold(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_users(batches):
            yield from _folded(table, days, wanted)

    rows = _with_nulls(events, _STATE, "binary")
    if before is not None:
        types = dict(events.dtypes)
        known = reduce(lambda frame, name: _with_nulls(frame, (name,), types[name]), _EVENT, before)
        rows = rows.unionByName(known.select(*rows.columns))
    return rows.repartition(partitions, USER_ID).sortWithinPartitions(USER_ID).mapInArrow(fold, _DDL)


def behaviour_of(rows: pa.Table | pa.RecordBatch, user: Longs, *, users: int) -> Behaviour:
    """The states of rows with `cells` and `items`, whose users stand at the positions `user`, ascending."""
    cells, cell_sizes = unpacked(rows.column(CELLS), CELL)
    items, item_sizes = unpacked(rows.column(ITEMS), ITEM)
    return Behaviour(users, np.repeat(user, cell_sizes), cells, np.repeat(user, item_sizes), items)


def behaviour_batch(behaviour: Behaviour, user_ids: Longs, as_of: date) -> pa.RecordBatch:
    """Rows of gold.user_behaviour; user_ids: of each position."""
    cells, items = (_sizes(user, behaviour.users) for user in (behaviour.cell_user, behaviour.item_user))
    is_known = (cells > 0) | (items > 0)
    columns = [
        pa.array(user_ids),
        pa.array([as_of] * len(user_ids), pa.date32()),
        binary(behaviour.cells, cells),
        binary(behaviour.items, items),
    ]
    batch = pa.RecordBatch.from_arrays(columns, names=[USER_ID, AS_OF, CELLS, ITEMS])
    return batch.filter(pa.array(is_known))


def _folded(table: pa.Table, days: Sequence[DaySpan], as_ofs: frozenset[date]) -> Iterator[pa.RecordBatch]:
    user_ids, user = np.unique(table.column(USER_ID).to_numpy(), return_inverse=True)
    is_event = table.column(TIME).is_valid().to_numpy()
    known = np.flatnonzero(~is_event)
    state = behaviour_of(table.take(pa.array(known)), user[known], users=len(user_ids))
    events = _happenings(table.filter(pa.array(is_event)), user[is_event])
    for day in days:
        state = fold_day(state, events.between(day.start, day.end), start=day.start, end=day.end)
        if day.as_of in as_ofs:
            yield behaviour_batch(state, user_ids, day.as_of)


def _happenings(rows: pa.Table, user: Longs) -> Happenings:
    code = rows.column(CODE).to_numpy()
    return Happenings(
        user=user,
        time=rows.column(TIME).to_numpy(),
        domain=(code >> 8).astype(np.uint8),
        group=(code & 255).astype(np.uint8),
        topic=_topic_codes(rows.column(TOPIC)),
        item=rows.column(ITEM_NUMBER).to_numpy(),
        weight=rows.column(WEIGHT).to_numpy().astype(np.float64),
    )


def _topic_codes(topics: pa.ChunkedArray) -> Longs:
    encoded = topics.combine_chunks().dictionary_encode()
    codes = np.array([topic_code(topic) for topic in encoded.dictionary.to_pylist()] + [NO_TOPIC], np.int64)
    numbers: Longs = codes[encoded.indices.fill_null(len(codes) - 1).to_numpy(zero_copy_only=False)]
    return numbers


def _sizes(user: Longs, users: int) -> Longs:
    return np.bincount(user, minlength=users).astype(np.int64)


def _with_nulls(frame: DataFrame, names: Sequence[str], kind: str) -> DataFrame:
    return frame.withColumns({name: F.lit(None).cast(kind) for name in names})
