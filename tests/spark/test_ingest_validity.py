"""What the DWH told from when to when: against a plain retelling of the exports, and with exports late or again."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.ingest.histories import first_to_tell
from spark_jobs.ingest.validity import aggregates_at, customers_at, told_by
from spark_jobs.jobs.ingest import run
from spark_jobs.jobs.runner import JobReport
from spark_jobs.lake.commits import last_commit
from spark_jobs.lake.files import delete_folder
from spark_jobs.lake.tables import empty_table, read_table, table_uri
from tests.spark.ingest_samples import AS_OF, Deliveries

DAYS = tuple(AS_OF - timedelta(days=ago) for ago in (7, 6, 4, 2))
# What each export says of whom: region by user.
EXPORTS: tuple[Mapping[int, int], ...] = (
    {1: 10, 2: 20, 3: 30},
    {1: 10, 2: 21, 4: 40},
    {1: 10, 2: 20, 3: 30},
    {2: 20, 3: 31, 4: 40},
)
# Those with rows of the shared lake.
TWO = {DAYS[0]: EXPORTS[0], DAYS[2]: EXPORTS[1]}
JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
# What each export says of the months of one user: turnover.
MONEY: Mapping[date, Mapping[date, float]] = {
    DAYS[0]: {JANUARY: 100.0},
    DAYS[1]: {JANUARY: 90.0, FEBRUARY: 50.0},
    DAYS[2]: {FEBRUARY: 50.0},
}
Told = set[tuple[int, int, date, date | None]]


def retold(exports: Mapping[date, Mapping[int, int]]) -> Told:
    """The same by the definition, export by export."""
    holding: dict[int, tuple[int, date]] = {}
    told: Told = set()
    for day, export in sorted(exports.items()):
        for user, (region, since) in list(holding.items()):
            if export.get(user) != region:
                told.add((user, region, since, day))
                del holding[user]
        for user, region in export.items():
            holding.setdefault(user, (region, day))
    return told | {(user, region, since, None) for user, (region, since) in holding.items()}


def rows_of(frame: DataFrame) -> Told:
    rows = [(row["user_id"], row["region"], row["valid_from"], row["valid_to"]) for row in frame.collect()]
    assert len(rows) == len(set(rows))
    return set(rows)


@pytest.fixture
def deliveries(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path)


def deliver(deliveries: Deliveries, day: date, export: Mapping[int, int]) -> None:
    users = sorted(export)
    deliveries.customers(day, users, region=[export[user] for user in users])


@dataclass(frozen=True)
class Exported:
    """A lake that one night told of several exports."""

    deliveries: Deliveries
    report: JobReport


@pytest.fixture(scope="module")
def exported_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Between two exports of customers lies one without rows."""
    deliveries = Deliveries(tmp_path_factory.mktemp("exported"))
    for day, export in {**TWO, DAYS[1]: {}}.items():
        deliver(deliveries, day, export)
    for day, months in MONEY.items():
        deliveries.parquet(
            f"dwh/aggregates/dt={day}/part-0.parquet",
            {
                "user_id": pa.array([1] * len(months), pa.int64()),
                "month": pa.array(list(months), pa.date32()),
                "turnover": pa.array(list(months.values())),
                "balance": pa.array([0.0] * len(months)),
            },
        )
    return Exported(deliveries, run(spark, deliveries.params(only=("dwh",))))


def told(spark: SparkSession, deliveries: Deliveries) -> Told:
    return rows_of(read_table(spark, deliveries.params().lake, "silver.customers"))


def exported(spark: SparkSession, days: Sequence[date]) -> DataFrame:
    rows = [
        {"user_id": user, "region": region, "valid_from": day}
        for day, export in zip(DAYS, EXPORTS, strict=True)
        if day in days
        for user, region in export.items()
    ]
    names = [name for name in empty_table(spark, "silver.customers").columns if name != "valid_to"]
    ddl = ", ".join(
        f"{field.name} {field.dataType.simpleString()}"
        for field in empty_table(spark, "silver.customers").schema
        if field.name in names
    )
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], ddl)


def test_all_exports_at_once_are_told_as_one_by_one(spark: SparkSession) -> None:
    nothing = empty_table(spark, "silver.customers")
    at_once = told_by(nothing, exported(spark, DAYS), days=DAYS, table="silver.customers")
    everything = retold(dict(zip(DAYS, EXPORTS, strict=True)))
    assert rows_of(at_once) == everything
    first = told_by(nothing, exported(spark, DAYS[:2]), days=DAYS[:2], table="silver.customers").localCheckpoint()
    ended = rows_of(first.where("valid_to is not null"))
    rest = told_by(first.where("valid_to is null"), exported(spark, DAYS[2:]), days=DAYS[2:], table="silver.customers")
    assert ended | rows_of(rest) == everything


def test_a_date_sees_what_was_known_then(spark: SparkSession) -> None:
    nothing = empty_table(spark, "silver.customers")
    history = told_by(nothing, exported(spark, DAYS), days=DAYS, table="silver.customers").localCheckpoint()
    expected = {
        seen_from: export
        for day, export in zip(DAYS, EXPORTS, strict=True)
        for seen_from in {day, day + timedelta(days=1)} - ({*DAYS} - {day})
    }
    expected[DAYS[0] - timedelta(days=1)] = {}
    seen = [customers_at(history, day).select(F.lit(day), "user_id", "region") for day in expected]
    rows = reduce(DataFrame.union, seen).collect()
    assert len(rows) == sum(map(len, expected.values()))
    assert {day: {user: region for of, user, region in rows if of == day} for day in expected} == expected


def test_nights_tell_on_from_where_the_last_one_was_and_late_or_changed_exports_take_it_back(
    spark: SparkSession, deliveries: Deliveries
) -> None:
    known: dict[date, Mapping[int, int]] = {}

    def night(exports: Mapping[int, Mapping[int, int]]) -> None:
        for n, export in exports.items():
            deliver(deliveries, DAYS[n], export)
            known[DAYS[n]] = export
        run(spark, deliveries.params(only=("dwh",)))
        assert told(spark, deliveries) == retold(known)

    night({0: EXPORTS[0], 3: EXPORTS[3]})
    uri = table_uri(deliveries.params().lake, "silver.customers")
    before = last_commit(uri)
    night({})
    assert last_commit(uri) == before
    night({1: EXPORTS[1]})  # late
    night({0: {**EXPORTS[0], 1: 11, 9: 90}, 2: EXPORTS[2]})  # again and otherwise; late
    known_at_first = customers_at(read_table(spark, deliveries.params().lake, "silver.customers"), DAYS[0])
    assert {row["user_id"]: row["region"] for row in known_at_first.collect()} == known[DAYS[0]]


def test_an_export_without_rows_is_no_news(spark: SparkSession, exported_lake: Exported) -> None:
    assert told(spark, exported_lake.deliveries) == retold(TWO)
    assert f"customers: no rows in {DAYS[1]}" in exported_lake.report.warnings


def test_a_month_is_what_the_last_export_said_of_it(spark: SparkSession, exported_lake: Exported) -> None:
    history = read_table(spark, exported_lake.deliveries.params().lake, "silver.aggregates")
    for day, months in MONEY.items():
        assert {row["month"]: row["turnover"] for row in aggregates_at(history, day).collect()} == months


def test_a_lake_from_before_there_were_intervals_is_told_anew(
    spark: SparkSession, exported_lake: Exported, tmp_path: Path
) -> None:
    params = exported_lake.deliveries.params(only=("dwh",))
    lake, table = shutil.copytree(params.lake, str(tmp_path / "lake")), "silver.customers"
    newest = read_table(spark, lake, table).where("valid_to is null").drop("valid_from", "valid_to").collect()
    as_1_0 = spark.createDataFrame(newest, read_table(spark, lake, table).drop("valid_from", "valid_to").schema)
    delete_folder(table_uri(lake, table))
    as_1_0.write.format("delta").save(table_uri(lake, table))
    for step in Path(f"{lake}/migrations").glob("0002_*"):
        step.unlink()
    run(spark, params.model_copy(update={"lake": lake}))
    assert rows_of(read_table(spark, lake, table)) == retold(TWO)


def test_an_export_that_bronze_has_forgotten_is_not_told_again() -> None:
    told, now = {DAYS[0]: "a", DAYS[2]: "b"}, {DAYS[0]: "changed", DAYS[2]: "b"}
    assert first_to_tell(told, now) == DAYS[0]
    assert first_to_tell(told, now, since=DAYS[1]) is None
    assert first_to_tell(told, {**now, DAYS[3]: "new"}, since=DAYS[1]) == DAYS[3]
