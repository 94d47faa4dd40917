"""Delivered files as typed rows, as delivered, each with the reason why it is kept out of silver, if any.

The checks of a row come from its bronze contract: nulls, ranges, vocabularies; and a row of a day must lie within it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import DAY, EVENT_TIME, REJECTED
from data_contracts.night import NightParams
from data_contracts.tables import Column, ColumnType
from spark_jobs.ingest.contents import CLIENT, Checked, Content
from spark_jobs.ingest.identity import Identities
from spark_jobs.ingest.sources import PATTERNS, Layout, Source
from spark_jobs.lake.tables import empty_table

MICROS_PER_DAY = 86_400_000_000
# Microseconds in a stored duration's unit, as a fraction.
_DURATIONS = {"duration[s]": (1_000_000, 1), "duration[ms]": (1_000, 1), "duration[ns]": (1, 1_000)}
_NARROW = (ColumnType.TINYINT, ColumnType.SMALLINT, ColumnType.INT, ColumnType.BIGINT)
_DECIMALS = (ColumnType.FLOAT, ColumnType.DOUBLE)


Kinds = tuple[str, ...]


def bronze_rows(source: Source, checked: Iterable[Checked], params: NightParams, people: Identities) -> DataFrame:
    """All rows of some deliveries of one source, with exactly the columns of its bronze contract."""
    frames = [
        _typed(people.with_user_ids(frame) if CLIENT in kinds else frame, source, kinds, params)
        for kinds, frame in _delivered(people.spark, source, checked)
    ]
    return reduce(DataFrame.unionByName, frames) if frames else empty_table(people.spark, source.table)


def by_client(spark: SparkSession, source: Source, checked: Iterable[Checked]) -> list[DataFrame]:
    """Those of the files, as they are, that tell people apart by the bank's client id."""
    return [frame for kinds, frame in _delivered(spark, source, checked) if CLIENT in kinds]


def _delivered(spark: SparkSession, source: Source, checked: Iterable[Checked]) -> Iterator[tuple[Kinds, DataFrame]]:
    """Files whose columns are stored alike are read together, whatever their day."""
    groups: dict[tuple[Kinds, str], list[Content]] = defaultdict(list)
    for delivery in checked:
        for content in delivery.contents:
            groups[content.kinds, content.schema].append(content)
    for (kinds, schema), contents in sorted(groups.items()):
        yield kinds, _read(spark, source, [content.file.uri for content in contents], schema)


def _read(spark: SparkSession, source: Source, uris: list[str], avro_schema: str) -> DataFrame:
    if source.layout is Layout.HOURLY:
        return spark.read.format("avro").option("avroSchema", avro_schema).load(sorted(uris))
    return spark.read.parquet(*sorted(uris))


def _typed(frame: DataFrame, source: Source, kinds: Kinds, params: NightParams) -> DataFrame:
    columns = list(zip(source.file_columns, kinds, strict=True))
    own = [_cast(column, kind).alias(column.name) for column, kind in columns]
    lost = [_is_lost(column).alias(f"{column.name} lost") for column, kind in columns if _may_lose(column, kind)]
    if source.is_dated:
        own.append(_day_of_file(source.layout, params).alias(DAY))
    reasons = [*_faults(columns), *_misplaced(source.layout, params)]
    if CLIENT in kinds:
        own.append(Identities.client_fault().alias("client fault"))
        reasons.insert(0, F.col("client fault"))
    typed = frame.select(*own, *lost)
    rejected = F.coalesce(*reasons, F.lit(None).cast("string"))
    return typed.select(*[name for name in source.contract.column_names if name != REJECTED], rejected.alias(REJECTED))


def _cast(column: Column, kind: str) -> SparkColumn:
    """Typed as the contract says. What does not fit becomes null instead of a wrong number; so does NaN."""
    name = f"`{column.name}`"
    if kind in _DURATIONS:
        factor, divisor = _DURATIONS[kind]
        return F.expr(f"{name} * {factor}L div {divisor}L")
    if column.type in _DECIMALS and kind == "floating":
        return F.expr(f"if(isnan({name}), null, {name})").cast(column.type.value)
    return (
        F.expr(f"try_cast({name} as {column.type.value})")
        if column.type in _NARROW
        else F.expr(name).cast(column.type.value)
    )


def _may_lose(column: Column, kind: str) -> bool:
    return column.type in _NARROW and kind in ("integer", "decimal") and column.nullable


def _is_lost(column: Column) -> SparkColumn:
    return F.expr(f"`{column.name}` is not null and try_cast(`{column.name}` as {column.type.value}) is null")


def _faults(columns: Iterable[tuple[Column, str]]) -> Iterator[SparkColumn]:
    """Reasons, null where the row is fine, in the order of the contract's columns."""
    for column, kind in columns:
        value = F.col(f"`{column.name}`")
        if not column.nullable:
            yield F.when(value.isNull(), F.lit(f"{column.name} is null or out of range"))
        if _may_lose(column, kind):
            yield F.when(F.col(f"`{column.name} lost`"), F.lit(f"{column.name} is out of range"))
        if column.values is not None:
            yield F.when(~value.isin(*column.values), F.lit(f"unknown {column.name}"))
        if column.length is not None:
            yield F.when(
                ~F.size(value).isin(-1, 0, column.length), F.lit(f"{column.name} has not {column.length} numbers")
            )
            yield F.when(F.exists(value, _is_no_number), F.lit(f"{column.name} is not finite"))
        if column.min is not None:
            yield F.when(value < F.lit(column.min), F.lit(f"{column.name} is out of range"))
        if column.max is not None:
            yield F.when(value > F.lit(column.max), F.lit(f"{column.name} is out of range"))


def _is_no_number(value: SparkColumn) -> SparkColumn:
    return value.isNull() | F.isnan(value) | (F.abs(value) == F.lit(float("inf")))


def _day_of_file(layout: Layout, params: NightParams) -> SparkColumn:
    text = F.regexp_extract(F.col("_metadata.file_path"), f"/{PATTERNS[layout]}", 1)
    if layout is Layout.NUMBERED:
        return F.date_add(F.lit(params.tecd_day_zero), text.cast("int"))
    return text.cast("date")


def _misplaced(layout: Layout, params: NightParams) -> Iterator[SparkColumn]:
    """A row belongs to the day its file is of: nothing negative, nothing of the future, nothing of another day."""
    if layout is Layout.NUMBERED:
        number = F.datediff(F.col(DAY), F.lit(params.tecd_day_zero))
        is_inside = F.floor(F.col("timestamp") / MICROS_PER_DAY) == number
        yield F.when(~is_inside, F.lit("timestamp is outside the day of its file"))
    elif layout is Layout.HOURLY:
        local = F.to_date(F.from_utc_timestamp(F.col(EVENT_TIME), params.timezone))
        yield F.when(local != F.col(DAY), F.lit("event_time is outside the day of its folder"))


def tecd_event_time(params: NightParams) -> SparkColumn:
    """UTC of a T-ECD offset, which counts wall time in the bank's time zone from 00:00 of day zero."""
    zero = int(datetime.combine(params.tecd_day_zero, datetime.min.time(), UTC).timestamp()) * 1_000_000
    wall = F.timestamp_micros(F.col("timestamp") + F.lit(zero))
    return F.to_utc_timestamp(wall, params.timezone)
