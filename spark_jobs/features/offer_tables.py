"""Offer behaviour between Spark and NumPy: the item index, `gold.user_history` and `gold.item_features`.

Belongs here: how events reach `history.fold_history` in Spark's workers, how histories travel as binary columns, and
how the tables are written and read back. Does not: what the numbers mean (`history`, `item_features`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from data_contracts.columns import ACTION, AS_OF, DAY, DOMAIN, EVENT_TIME, FEATURE_PREFIX, ITEM_CODE, ITEM_ID, USER_ID
from data_contracts.night import NightParams
from data_contracts.vocabulary import Action
from spark_jobs.features.days import DaySpan, day_spans
from spark_jobs.features.history import (
    ACTION_CODES,
    COUNTS,
    FARTHEST,
    NEAREST,
    NEVER_HOURS,
    STATS,
    Events,
    Floats,
    Ints,
    UserHistory,
    fold_history,
)
from spark_jobs.features.item_features import (
    FEATURES,
    ItemAttributes,
    ItemFeatures,
    ItemSums,
    item_features,
)
from spark_jobs.features.packed import binary, unpacked
from spark_jobs.features.whole_users import whole_users
from spark_jobs.lake.collect import collected
from spark_jobs.lake.tables import read_table, rows_written, write_table

# Days of behaviour that offers are ranked by.
WINDOW_DAYS = 28
HISTORY, ITEM_FEATURES = "gold.user_history", "gold.item_features"
ITEMS, ITEM_CODES, ITEM_STATS = "items", "item_codes", "item_stats"
_HISTORY_DDL = f"{USER_ID} bigint, {ITEMS} int, {ITEM_CODES} binary, {ITEM_STATS} binary"
_AGES_DDL = tuple(f"{name} double" for name in (*NEAREST, *FARTHEST))

_PARTITIONS_OF_ITEMS = 4

Strings = npt.NDArray[np.str_]


@dataclass(frozen=True)
class OfferTables:
    """Rows and Delta versions of what was written."""

    users: int
    items: int
    history_version: int
    items_version: int


def write_offer_tables(
    spark: SparkSession, params: NightParams, *, base: date | None, first: date, partitions: int
) -> OfferTables:
    """Make and write `gold.user_history` and `gold.item_features` at the as-of, for all users.

    base: an earlier as-of of both tables, from which histories are folded on; None: they are folded from
    nothing. first: the first day to fold.
    """
    items = read_table(spark, params.lake, "silver.items")
    days = day_spans(first, params.as_of, timezone=params.timezone)
    interactions = offer_interactions(read_table(spark, params.lake, "silver.interactions"), params=params, first=first)
    before, known, is_met = _as_known(spark, params.lake, base)
    item_ids = item_index(interactions, items, known=known[is_met], params=params)
    events = offer_events(interactions, index_frame(spark, item_ids))
    # No history holds an item that nobody met: of those the new code means nothing.
    recoded = np.searchsorted(item_ids, known).astype(np.int32)
    histories = user_histories(events, days, before=before, recoded=recoded, partitions=partitions)
    history_version = write_table(_dated(histories, params), params.lake, HISTORY, partitions=[params.as_of])
    users = rows_written(params.lake, HISTORY)
    written = read_table(spark, params.lake, HISTORY).where(F.col(AS_OF) == F.lit(params.as_of))
    features = item_features(total_sums(written, n_items=len(item_ids)), attributes=item_attributes(items, item_ids))
    frame = item_features_frame(spark, features, item_ids, as_of=params.as_of)
    items_version = write_table(frame, params.lake, ITEM_FEATURES, partitions=[params.as_of])
    return OfferTables(users, len(item_ids), history_version, items_version)


def _as_known(
    spark: SparkSession, lake: str, base: date | None
) -> tuple[DataFrame | None, Strings, npt.NDArray[np.bool_]]:
    """Histories at an earlier as-of, the item ids that their codes stand for, and which of them anybody has met."""
    if base is None:
        return None, np.empty(0, np.str_), np.empty(0, np.bool_)
    night, last_age = F.col(AS_OF) == F.lit(base), f"{FEATURE_PREFIX}last_age"
    items = read_table(spark, lake, ITEM_FEATURES).where(night).select(ITEM_ID, ITEM_CODE, last_age)
    known = collected(items, sort_by=ITEM_CODE)
    is_met = known.column(last_age).to_numpy() < NEVER_HOURS
    return read_table(spark, lake, HISTORY).where(night), known.column(ITEM_ID).to_numpy().astype(np.str_), is_met


def microseconds(moment: datetime) -> int:
    """Of an aware moment, since 1970 UTC."""
    return round(moment.timestamp()) * 1_000_000


def offer_interactions(interactions: DataFrame, *, params: NightParams, first: date | None = None) -> DataFrame:
    """What was done with offers from the day `first` (by default: in the window) up to the cut-off."""
    since = first or params.as_of - timedelta(days=WINDOW_DAYS)
    return interactions.where(
        F.col(DOMAIN).isin(list(params.offer_domains))
        & (F.col(DAY) >= F.lit(since))
        & (F.col(DAY) < F.lit(params.as_of))
        & (F.unix_micros(EVENT_TIME) < microseconds(params.cut_off))
    )


def item_index(interactions: DataFrame, items: DataFrame, *, known: Strings, params: NightParams) -> Strings:
    """All offer items, delivered, merely seen or known before, in item_id order: the position is the code."""
    delivered = items.where(F.col(DOMAIN).isin(list(params.offer_domains))).select(ITEM_ID)
    every = collected(interactions.select(ITEM_ID).union(delivered).distinct()).column(ITEM_ID)
    item_ids: Strings = np.unique(np.concatenate([every.to_numpy().astype(np.str_), known]))
    return item_ids


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


def user_histories(
    events: DataFrame,
    days: Sequence[DaySpan],
    *,
    before: DataFrame | None = None,
    recoded: Ints | None = None,
    partitions: int = 4,
) -> DataFrame:
    """One row a user, the history after `days`, folded in Spark's workers from `before` and `offer_events`.

    recoded int32 [items known before]: their codes now.
    """

    def fold(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for users in whole_users(batches):
            history = _folded(users, days, recoded)
            if len(history):
                yield history_batch(history)

    rows = events.withColumns({ITEM_CODES: F.lit(None).cast("binary"), ITEM_STATS: F.lit(None).cast("binary")})
    if before is not None:
        rows = rows.unionByName(before.select(USER_ID, ITEM_CODES, ITEM_STATS), allowMissingColumns=True)
    return rows.repartition(partitions, USER_ID).sortWithinPartitions(USER_ID).mapInArrow(fold, _HISTORY_DDL)


def _folded(rows: pa.Table, days: Sequence[DaySpan], recoded: Ints | None) -> UserHistory:
    is_event = rows.column("time").is_valid()
    events = events_of(rows.filter(is_event))
    history = history_of(rows.filter(pc.invert(is_event)))
    if recoded is not None and len(history):
        history = replace(history, item_code=recoded[history.item_code])
    for day in days:
        history = fold_history(history, events, start=day.start, end=day.end)
    return history


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
        binary(history.item_code.astype("<i4"), history.sizes),
        binary(history.stats.astype("<f4"), history.sizes),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[USER_ID, ITEMS, ITEM_CODES, ITEM_STATS])


def history_of(rows: pa.RecordBatch | pa.Table) -> UserHistory:
    """The histories of rows with `gold.user_history`'s columns, in their order; null means no items."""
    codes, sizes = unpacked(rows.column(ITEM_CODES), np.dtype("<i4"))
    stats, _ = unpacked(rows.column(ITEM_STATS), np.dtype("<f4"))
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return UserHistory(rows.column(USER_ID).to_numpy(), indptr, codes, stats.reshape(-1, len(STATS)))


def vectors_of(rows: pa.RecordBatch | pa.Table, *, factors: int) -> Floats:
    """The vectors of rows with `gold.user_vectors`' columns, float32 [rows, factors]; null means zero."""
    flat, sizes = unpacked(rows.column("vector"), np.dtype("<f4"))
    vectors = np.zeros((rows.num_rows, factors), dtype=np.float32)
    vectors[sizes > 0] = flat.reshape(-1, factors)
    return vectors


def vector_batch(user_ids: npt.NDArray[np.int64], vectors: Floats) -> pa.RecordBatch:
    """Vectors as rows of `gold.user_vectors`, without as_of."""
    each = np.ones(len(user_ids), dtype=np.int64)
    return pa.RecordBatch.from_arrays(
        [pa.array(user_ids), binary(vectors.astype("<f4"), each)], names=[USER_ID, "vector"]
    )


def total_sums(histories: DataFrame, *, n_items: int) -> ItemSums:
    """Item sums over all rows of `gold.user_history`: of each partition in the workers, then of all by Spark.

    Counts travel as whole numbers, so that the sum is the same whoever adds first.
    """

    def add_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = ItemSums.nothing(n_items)
        for batch in batches:
            sums.add(history_of(batch))
        yield sums_batch(sums)

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
    rows = collected(features, sort_by=ITEM_CODE)
    item_ids = rows.column(ITEM_ID).to_numpy().astype(np.str_)
    values = np.column_stack([rows.column(f"{FEATURE_PREFIX}{name}").to_numpy() for name in FEATURES])
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
    # Spark would make a partition, and a file, of each Arrow batch.
    return spark.createDataFrame(table.to_pandas(), from_arrow_schema(table.schema)).coalesce(_PARTITIONS_OF_ITEMS)
