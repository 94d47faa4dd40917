"""A lake that older contracts wrote is brought up to date: without a step where that will do, by numbered ones else."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.errors import InputError
from data_contracts.tables import contract
from spark_jobs.lake import tables
from spark_jobs.lake.commits import newest_version
from spark_jobs.lake.migrations import STEPS, Step, applied, migrate
from spark_jobs.lake.tables import read_table, table_uri, write_table

OLD_DAY, NEW_DAY = date(2026, 3, 14), date(2026, 3, 15)
AGGREGATES, PEOPLE, USERS = "bronze.aggregates", "silver.people", "bronze.users"


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[dict[str, object]]]]:
    """Columns to change or add, by table: what the next version of its contract says."""
    changes: dict[str, list[dict[str, object]]] = {}

    def changed(name: str) -> object:
        promised = contract(name)
        columns = {column.name: column.model_dump() for column in promised.columns}
        for column in changes.get(name, []):
            columns[str(column["name"])] = {**columns.get(str(column["name"]), {"description": "new"}), **column}
        return type(promised).model_validate({**promised.model_dump(), "columns": list(columns.values())})

    monkeypatch.setattr(tables, "contract", changed)
    return changes


def aggregates(spark: SparkSession, day: date) -> DataFrame:
    return spark.createDataFrame([(7, date(2026, 2, 1), 10.0, 5.0, day, None)], contract(AGGREGATES).ddl)


def test_a_new_nullable_column_needs_no_step(
    spark: SparkSession, lake: str, newer: dict[str, list[dict[str, object]]]
) -> None:
    write_table(aggregates(spark, OLD_DAY), lake, AGGREGATES, partitions=[OLD_DAY])
    newer[AGGREGATES] = [{"name": "debt", "type": "double", "nullable": True}]
    assert read_table(spark, lake, AGGREGATES).select("debt").first() == (None,)
    write_table(aggregates(spark, NEW_DAY).withColumn("debt", F.lit(3.0)), lake, AGGREGATES, partitions=[NEW_DAY])
    rows = read_table(spark, lake, AGGREGATES).orderBy("day").select("turnover", "debt").collect()
    assert [tuple(row) for row in rows] == [(10.0, None), (10.0, 3.0)]


def test_a_new_column_that_is_never_null_is_refused_until_a_step_fills_it(
    spark: SparkSession, lake: str, newer: dict[str, list[dict[str, object]]]
) -> None:
    """And a column that widens, in the same rewrite; a killed step is simply done again."""
    write_table(spark.createDataFrame([(1, 3, 77)], contract(PEOPLE).ddl), lake, PEOPLE)
    newer[PEOPLE] = [{"name": "region", "type": "bigint"}, {"name": "country", "type": "string"}]
    with pytest.raises(InputError, match=r"silver\.people was written by an older contract .* lacks country"):
        read_table(spark, lake, PEOPLE)
    kills = ["before it wrote", "after it wrote"]

    def name_countries(spark: SparkSession, lake: str) -> None:
        stored = spark.read.format("delta").load(table_uri(lake, PEOPLE))
        if "country" not in stored.columns:
            if "before it wrote" in kills:
                raise KeyboardInterrupt(kills.pop(0))
            write_table(stored.withColumn("country", F.lit("RU")), lake, PEOPLE)
        if kills:
            raise KeyboardInterrupt(kills.pop(0))

    steps = [*STEPS, Step(9001, name_countries)]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            migrate(spark, lake, steps=steps)
        assert 9001 not in applied(lake)
    assert migrate(spark, lake, steps=steps) == ("9001_name_countries",)
    assert migrate(spark, lake, steps=steps) == ()
    frame = read_table(spark, lake, PEOPLE)
    assert [tuple(row) for row in frame.collect()] == [(1, 3, 77, "RU")]
    assert dict(frame.dtypes)["region"] == "bigint"
    assert newest_version(table_uri(lake, PEOPLE)) == 1, "the rewrite is one commit, and done once"


def test_a_lake_of_newer_code_is_refused(spark: SparkSession, lake: str) -> None:
    assert migrate(spark, lake) == tuple(step.name for step in STEPS), "a new lake has nothing to mend"
    migrate(spark, lake, steps=[*STEPS, Step(9002, lambda _spark, _lake: None)])
    with pytest.raises(InputError, match="migrated by newer code"):
        migrate(spark, lake)


def test_numbers_of_steps_are_used_once_and_in_order() -> None:
    numbers = [step.number for step in STEPS]
    assert numbers == sorted(set(numbers))


def test_user_ids_below_one_that_an_older_contract_let_through_are_rejected_once(
    spark: SparkSession, lake: str
) -> None:
    rows = [(5, 1, 1, None), (0, 1, 1, None), (-3, 1, 1, "user_id is null or out of range")]
    write_table(spark.createDataFrame(rows, contract(USERS).ddl), lake, USERS)
    migrate(spark, lake)
    kept = {row["user_id"]: row["rejected"] for row in read_table(spark, lake, USERS).collect()}
    assert kept == {5: None, 0: "user_id is out of range", -3: "user_id is null or out of range"}
    version = newest_version(table_uri(lake, USERS))
    STEPS[0].run(spark, lake)
    assert newest_version(table_uri(lake, USERS)) == version, "done again, it writes nothing"
