"""All registered features of all users as seen from an as-of: Spark gathers a user's facts, NumPy makes features."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from data_contracts.columns import AS_OF, USER_ID
from spark_jobs.features.base import Bools, Feature, Ints, Moment, Rows, Words
from spark_jobs.features.registry import all_features
from spark_jobs.features.silver import Silver
from spark_jobs.features.sources import SOURCE, SOURCES, FactSource, facts
from spark_jobs.features.whole_users import whole_users

# Facts that a worker holds at once, about.
_FACTS_AT_ONCE = 300_000


def user_features(silver: Silver, *, as_of: date, cut_off: datetime, users: DataFrame | None = None) -> DataFrame:
    """user_id, as_of and f_* (float), one row a user: customers and whoever behaved before the as-of.

    `users`: a frame with distinct user_id; only these are computed. Nothing that happened at `cut_off` or later
    counts. Unknown is null, none is 0.
    """
    moment = Moment(as_of, cut_off)
    features = all_features(silver)
    gathered = facts(silver if users is None else silver.of_users(users), moment)

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_users(batches, at_once=_FACTS_AT_ONCE):
            yield feature_batch(table, features, moment)

    columns = ", ".join(f"{feature.name} float" for feature in features)
    ordered = gathered.repartition(USER_ID).sortWithinPartitions(USER_ID)
    return ordered.mapInArrow(compute, f"{USER_ID} bigint, {AS_OF} date, {columns}")


def feature_batch(table: pa.Table, features: Iterable[Feature], moment: Moment) -> pa.RecordBatch:
    """Rows of gold.user_features from the facts of whole users (see `facts`), sorted by user."""
    user_ids, user = np.unique(table.column(USER_ID).to_numpy(), return_inverse=True)
    rows, is_user = _rows_by_source(table, user, users=len(user_ids))
    values = {feature.name: feature.column(rows[feature.source], moment)[is_user] for feature in features}
    columns = [pa.array(value.astype(np.float32), from_pandas=True) for value in values.values()]
    user_column, as_of_column = pa.array(user_ids[is_user]), pa.array([moment.as_of] * int(is_user.sum()), pa.date32())
    return pa.RecordBatch.from_arrays([user_column, as_of_column, *columns], names=[USER_ID, AS_OF, *values])


def _rows_by_source(table: pa.Table, user: Ints, *, users: int) -> tuple[Mapping[str, Rows], Bools]:
    """Each source's rows; and who is a user."""
    is_user = np.zeros(users, dtype=bool)
    positions = table.column(SOURCE).to_numpy()
    by_source = {}
    for position, (name, source) in enumerate(SOURCES.items()):
        chosen = np.flatnonzero(positions == position)
        by_source[name] = _rows(table.take(pa.array(chosen)), source, user[chosen], users=users)
        if source.makes_users:
            is_user[user[chosen]] = True
    return by_source, is_user


def _rows(table: pa.Table, source: FactSource, user: Ints, *, users: int) -> Rows:
    keys = {name: _words(table.column(f"key_{n}")) for n, name in enumerate(source.keys)}
    numbers = {name: table.column(f"number_{n}").to_numpy() for n, name in enumerate(source.numbers)}
    return Rows(users, user, keys, numbers)


def _words(column: pa.ChunkedArray) -> Words:
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Words(codes, tuple(encoded.dictionary.to_pylist()))
