"""Offer behaviour between Spark and NumPy: the item index, `gold.user_history` and `gold.item_features`.

Belongs here: how events reach `history.build_history` in Spark's workers, how histories travel as binary columns, and
how the tables are written and read back. Does not: what the numbers mean (`history`, `item_features`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from data_contracts.columns import ACTION, AS_OF, DAY, DOMAIN, EVENT_TIME, FEATURE_PREFIX, ITEM_CODE, ITEM_ID, USER_ID
from data_contracts.night import NightParams
from data_contracts.vocabulary import Action
from spark_jobs.features.history import (
    ACTION_CODES,
    COUNTS,
    FARTHEST,
    NEAREST,
    STATS,
    Events,
    Floats,
    UserHistory,
    build_history,
)
from spark_jobs.features.item_features import (
    FEATURES,
    ItemAttributes,
    ItemFeatures,
    ItemSums,
    item_features,
    item_sums,
)
from spark_jobs.features.whole_users import whole_users
from spark_jobs.lake.tables import read_table, write_table

# Days of behaviour that offers are ranked by.
WINDOW_DAYS = 28
HISTORY, ITEM_FEATURES = "gold.user_history", "gold.item_features"
ITEMS, ITEM_CODES, ITEM_STATS = "items", "item_codes", "item_stats"
_HISTORY_DDL = f"{USER_ID} bigint, {ITEMS} int, {ITEM_CODES} binary, {ITEM_STATS} binary"
_AGES_DDL = tuple(f"{name} double" for name in (*NEAREST, *FARTHEST))
_EVENTS_AT_ONCE = 500_000

Strings = npt.NDArray[np.str_]


@dataclass(frozen=True)
class OfferTables:
    """Rows and Delta versions of what was written."""

    users: int
    items: int
    history_version: int
    items_version: int


def write_offer_tables(spark: SparkSession, params: NightParams) -> OfferTables:
    """Make and write `gold.user_history` and `gold.item_features` of a night, for all users."""
    items = read_table(spark, params.lake, "silver.items")
    interactions = offer_interactions(read_table(spark, params.lake, "silver.interactions"), params=params)
    item_ids = item_index(interactions, items, params=params)
    events = offer_events(interactions, index_frame(spark, item_ids))
    histories = user_histories(events, as_of=microseconds(params.cut_off))
    history_version = write_table(_dated(histories, params), params.lake, HISTORY, partitions=[params.as_of])
    written = read_table(spark, params.lake, HISTORY).where(F.col(AS_OF) == F.lit(params.as_of))
    features = item_features(total_sums(written, n_items=len(item_ids)), attributes=item_attributes(items, item_ids))
    frame = item_features_frame(spark, features, item_ids, as_of=params.as_of)
    items_version = write_table(frame, params.lake, ITEM_FEATURES, partitions=[params.as_of])
    return OfferTables(written.count(), len(item_ids), history_version, items_version)


def microseconds(moment: datetime) -> int:
    """Of an aware moment, since 1970 UTC."""
    return round(moment.timestamp()) * 1_000_000


def offer_interactions(interactions: DataFrame, *, params: NightParams) -> DataFrame:
    """What was done with offers in the window before the cut-off."""
    first = params.as_of - timedelta(days=WINDOW_DAYS)
    return interactions.where(
        F.col(DOMAIN).isin(list(params.offer_domains))
        & (F.col(DAY) >= F.lit(first))
        & (F.col(DAY) < F.lit(params.as_of))
        & (F.unix_micros(EVENT_TIME) < microseconds(params.cut_off))
    )


def item_index(interactions: DataFrame, items: DataFrame, *, params: NightParams) -> Strings:
    """All offer items, delivered or merely seen, in item_id order: the position is the code."""
    delivered = items.where(F.col(DOMAIN).isin(list(params.offer_domains))).select(ITEM_ID)
    every = interactions.select(ITEM_ID).union(delivered).distinct().toPandas()
    return np.sort(every[ITEM_ID].to_numpy(dtype=np.str_))


def index_frame(spark: SparkSession, item_ids: Strings) -> DataFrame:
    """item_id, item_code."""
    codes = pa.table(
        {ITEM_ID: pa.array(item_ids.tolist(), pa.string()), ITEM_CODE: np.arange(len(item_ids), dtype=np.int32)}
    )
    return _frame(spark, codes)


def offer_events(interactions: DataFrame, index: DataFrame) -> DataFrame:
    """user_id, item_code, action (code), time (microseconds). index: item_id, item_code."""
    codes = F.create_map(*(F.lit(part) for action in Action for part in (action.value, ACTION_CODES[action])))
    return interactions.join(F.broadcast(index), ITEM_ID).select(
        USER_ID, ITEM_CODE, codes[F.col(ACTION)].cast("tinyint").alias(ACTION), F.unix_micros(EVENT_TIME).alias("time")
    )


def user_histories(events: DataFrame, *, as_of: int) -> DataFrame:
    """One row a user of `offer_events`, by `build_history` in Spark's workers."""

    def build(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for users in whole_users(batches, at_once=_EVENTS_AT_ONCE):
            history = build_history(events_of(users), as_of=as_of)
            if len(history):
                yield history_batch(history)

    return events.repartition(USER_ID).sortWithinPartitions(USER_ID).mapInArrow(build, _HISTORY_DDL)


def events_of(table: pa.Table) -> Events:
    """Rows of `offer_events`. Each counts once, whatever its weight: an offer met is an offer met."""
    return Events(
        user_id=table.column(USER_ID).to_numpy(),
        item_code=table.column(ITEM_CODE).to_numpy(),
        action=table.column(ACTION).to_numpy(),
        time=table.column("time").to_numpy(),
        weight=np.ones(table.num_rows, dtype=np.float32),
    )


def history_batch(history: UserHistory) -> pa.RecordBatch:
    """A history as rows of `gold.user_history`, without as_of."""
    columns = [
        pa.array(history.user_ids),
        pa.array(history.sizes.astype(np.int32)),
        _binary(history.item_code.astype("<i4"), history.indptr),
        _binary(history.stats.astype("<f4"), history.indptr),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[USER_ID, ITEMS, ITEM_CODES, ITEM_STATS])


def history_of(rows: pa.RecordBatch | pa.Table) -> UserHistory:
    """The histories of rows with `gold.user_history`'s columns, in their order; null means no items."""
    codes, indptr = _flat(rows, ITEM_CODES, np.dtype("<i4"))
    stats, _ = _flat(rows, ITEM_STATS, np.dtype("<f4"))
    return UserHistory(rows.column(USER_ID).to_numpy(), indptr, codes, stats.reshape(-1, len(STATS)))


def vectors_of(rows: pa.RecordBatch | pa.Table, *, factors: int) -> Floats:
    """The vectors of rows with `gold.user_vectors`' columns, float32 [rows, factors]; null means zero."""
    flat, indptr = _flat(rows, "vector", np.dtype("<f4"))
    vectors = np.zeros((rows.num_rows, factors), dtype=np.float32)
    vectors[np.diff(indptr) > 0] = flat.reshape(-1, factors)
    return vectors


def vector_batch(user_ids: npt.NDArray[np.int64], vectors: Floats) -> pa.RecordBatch:
    """Vectors as rows of `gold.user_vectors`, without as_of."""
    indptr = np.arange(len(user_ids) + 1, dtype=np.int64)
    return pa.RecordBatch.from_arrays(
        [pa.array(user_ids), _binary(vectors.astype("<f4"), indptr)], names=[USER_ID, "vector"]
    )


def total_sums(histories: DataFrame, *, n_items: int) -> ItemSums:
    """Item sums over all rows of `gold.user_history`: summed a batch at a time in the workers, then by Spark.

    Counts travel as whole numbers, so that the sum is the same whoever adds first.
    """

    def add_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield sums_batch(item_sums(history_of(batch), n_items=n_items))

    ddl = ", ".join((f"{ITEM_CODE} int", "users bigint", *(f"{name} bigint" for name in COUNTS), *_AGES_DDL))
    totals = [F.sum("users").alias("users"), *(F.sum(name).alias(name) for name in COUNTS)]
    ages = [F.min(name).alias(name) for name in NEAREST] + [F.max(name).alias(name) for name in FARTHEST]
    summed = histories.mapInArrow(add_up, ddl).groupBy(ITEM_CODE).agg(*totals, *ages).toPandas()
    sums = ItemSums.nothing(n_items)
    codes = summed[ITEM_CODE].to_numpy()
    sums.users[codes] = summed["users"]
    sums.counts[codes] = summed[list(COUNTS)]
    sums.nearest[codes] = summed[list(NEAREST)]
    sums.farthest[codes] = summed[list(FARTHEST)]
    return sums


def sums_batch(sums: ItemSums) -> pa.RecordBatch:
    """The rows of the items somebody met."""
    met = np.flatnonzero(sums.users)
    named = {ITEM_CODE: met.astype(np.int32), "users": sums.users[met]}
    for names, values in ((COUNTS, sums.counts), (NEAREST, sums.nearest), (FARTHEST, sums.farthest)):
        named |= {name: values[met, column] for column, name in enumerate(names)}
    return pa.RecordBatch.from_pydict(named)


def item_features_frame(spark: SparkSession, features: ItemFeatures, item_ids: Strings, *, as_of: date) -> DataFrame:
    """Rows of `gold.item_features`."""
    columns = [pa.array(item_ids.tolist(), pa.string()), pa.array(np.arange(len(item_ids), dtype=np.int32))]
    columns += [pa.array(np.ascontiguousarray(features.column(name))) for name in FEATURES]
    names = [ITEM_ID, ITEM_CODE, *(f"{FEATURE_PREFIX}{name}" for name in FEATURES)]
    return _frame(spark, pa.table(columns, names=names)).withColumn(AS_OF, F.lit(as_of))


def read_item_features(features: DataFrame, items: DataFrame) -> tuple[Strings, ItemFeatures]:
    """Item ids and features from one as-of of `gold.item_features`, with the attributes of `silver.items`."""
    rows = features.orderBy(ITEM_CODE).toPandas()
    item_ids = rows[ITEM_ID].to_numpy(dtype=np.str_)
    values = rows[[f"{FEATURE_PREFIX}{name}" for name in FEATURES]].to_numpy(dtype=np.float32)
    return item_ids, ItemFeatures(values, item_attributes(items, item_ids))


def item_attributes(items: DataFrame, item_ids: Strings) -> ItemAttributes:
    """Attributes of the items of an index, from `silver.items`."""
    wanted = items.select(ITEM_ID, "brand_id", "category", "subcategory", "price")
    return attributes_of(wanted.toPandas().set_index(ITEM_ID), item_ids)


def attributes_of(items: pd.DataFrame, item_ids: Strings) -> ItemAttributes:
    """From rows indexed by item_id. Codes are positions among the sorted values."""
    rows = items.reindex(item_ids)
    brand, category, subcategory = (
        pd.factorize(rows[name], sort=True)[0].astype(np.int32) for name in ("brand_id", "category", "subcategory")
    )
    return ItemAttributes(brand, category, subcategory, price=rows["price"].to_numpy(dtype=np.float32))


def _dated(frame: DataFrame, params: NightParams) -> DataFrame:
    return frame.withColumn(AS_OF, F.lit(params.as_of))


def _frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    return spark.createDataFrame(table.to_pandas(), from_arrow_schema(table.schema))


def _binary(values: npt.NDArray[np.generic], indptr: npt.NDArray[np.int64]) -> pa.Array:
    """A binary column over contiguous rows: row r is the bytes of `values[indptr[r]:indptr[r + 1]]`."""
    contiguous = np.ascontiguousarray(values)
    width = contiguous.itemsize * int(np.prod(contiguous.shape[1:], dtype=np.int64))
    offsets = pa.py_buffer((indptr * width).astype(np.int32))
    return pa.Array.from_buffers(pa.binary(), len(indptr) - 1, [None, offsets, pa.py_buffer(contiguous)])


def _flat(
    rows: pa.RecordBatch | pa.Table, name: str, dtype: np.dtype[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """All values of a binary column end to end, and where each row starts among them."""
    column = rows.column(name)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not len(array):
        return np.empty(0, dtype=dtype), np.zeros(1, dtype=np.int64)
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    if data is None or starts[-1] == starts[0]:
        return np.empty(0, dtype=dtype), np.zeros(len(array) + 1, dtype=np.int64)
    whole = np.frombuffer(data, dtype=np.uint8)[starts[0] : starts[-1]]
    return whole.view(dtype), (starts - starts[0]) // dtype.itemsize
