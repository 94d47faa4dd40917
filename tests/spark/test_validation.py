"""What a job wrote is validated against its contract: only that, whatever its shape, and every verdict is kept."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from data_contracts.checks import checks_of
from data_contracts.tables import TableContract, contract, table_names
from spark_jobs.jobs.runner import JobReport, TableReport, validated
from spark_jobs.lake.commits import newest_version
from spark_jobs.lake.tables import table_uri, write_table
from spark_jobs.lake.validation import Validation, validate_tables

FIRST, SECOND = date(2026, 3, 14), date(2026, 3, 15)
EVENTS, FEATURES, CUSTOMERS = "silver.interactions", "gold.user_features", "gold.segments"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("lake"))


def events(spark: SparkSession, day: date, rows: Sequence[tuple[int | None, str, float]]) -> DataFrame:
    """Rows of silver.interactions from user, action and weight."""
    at = datetime(day.year, day.month, day.day, 12)
    whole = [(user, "nfmcg_1", "marketplace", action, at, weight, day) for user, action, weight in rows]
    return spark.createDataFrame(whole, contract(EVENTS).ddl)


def only(validations: dict[str, Validation]) -> Validation:
    (one,) = validations.values()
    return one


def failures(validation: Validation) -> dict[str, str]:
    return {verdict.name: verdict.found for verdict in validation.verdicts if not verdict.passed}


def kept(validation: Validation) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(validation.uri).read_text())
    return document


def test_each_broken_promise_is_found_by_its_own_check_and_told_in_words(spark: SparkSession, lake: str) -> None:
    rows = [(1, "view", 1.0), (None, "view", 1.0), (3, "browse", 1.0), (4, "peek", -2.0), (5, "view", float("inf"))]
    write_table(events(spark, FIRST, rows), lake, EVENTS, partitions=[FIRST])
    found = failures(only(validate_tables(spark, lake, [EVENTS])))
    assert found == {
        "column_user_id": "1 of 5 rows",
        "column_action": "2 of 5 rows, such as 'browse', 'peek'",
        "column_weight": "2 of 5 rows, such as -2.0, inf",
    }


def test_only_what_the_last_commit_wrote_is_looked_at(spark: SparkSession, lake: str) -> None:
    write_table(events(spark, SECOND, [(1, "view", 1.0)]), lake, EVENTS, partitions=[SECOND])
    validation = only(validate_tables(spark, lake, [EVENTS]))
    assert failures(validation) == {}, "the broken rows of the day before are not of this commit"
    assert (kept(validation)["partitions"], kept(validation)["rows"]) == (["2026-03-15"], 1)


def test_a_key_said_twice_is_found_and_personal_values_are_counted_but_never_shown(
    spark: SparkSession, lake: str
) -> None:
    rows = [(1234567, FIRST, 0), (1234567, FIRST, 1), (7654321, FIRST, -1)]
    write_table(spark.createDataFrame(rows, contract(CUSTOMERS).ddl), lake, CUSTOMERS, partitions=[FIRST])
    validation = only(validate_tables(spark, lake, [CUSTOMERS]))
    assert set(failures(validation)) == {"table_key", "column_segment"}
    assert failures(validation)["table_key"].startswith("2 of 3 rows")
    assert "1234567" not in Path(validation.uri).read_text()


def test_one_check_finds_the_feature_that_is_not_finite_among_many(spark: SparkSession, lake: str) -> None:
    names = [f"f_{number}" for number in range(300)]
    own = ("user_id bigint", "as_of date", "seen_until bigint", "pair_products binary", "pair_signals binary")
    ddl = ", ".join((*own, *(f"{name} float" for name in names)))
    good = (1, FIRST, None, None, None, *([None] * 150 + [3.4e38] * 150))
    for bad in (float("nan"), float("-inf")):
        write_table(
            spark.createDataFrame([good, (2, FIRST, 9, b"", b"", *([0.5] * 299), bad)], ddl),
            lake,
            FEATURES,
            partitions=[FIRST],
        )
        assert set(failures(only(validate_tables(spark, lake, [FEATURES])))) == {"table_features"}
    write_table(spark.createDataFrame([good], ddl), lake, FEATURES, partitions=[FIRST])
    assert failures(only(validate_tables(spark, lake, [FEATURES]))) == {}


def test_an_empty_table_keeps_its_promises_and_one_never_written_makes_none(spark: SparkSession, lake: str) -> None:
    write_table(spark.createDataFrame([], contract("silver.people").ddl), lake, "silver.people")
    validations = validate_tables(spark, lake, ["silver.people", "silver.items", "personal"])
    assert list(validations) == ["silver.people"]
    assert failures(only(validations)) == {}
    assert kept(only(validations))["rows"] == 0


def test_a_version_is_validated_once_and_one_whose_job_was_killed_is_validated_by_the_next(
    spark: SparkSession, lake: str
) -> None:
    people = spark.createDataFrame([(1, None, None)], contract("silver.people").ddl)
    write_table(people, lake, "silver.people")
    first = only(validate_tables(spark, lake, ["silver.people"]))
    written = Path(first.uri).stat().st_mtime_ns
    assert only(validate_tables(spark, lake, ["silver.people"])) == first
    assert Path(first.uri).stat().st_mtime_ns == written
    Path(first.uri).unlink()
    assert only(validate_tables(spark, lake, ["silver.people"])) == first
    assert first.uri.endswith(f"{newest_version(table_uri(lake, 'silver.people'))}.json")


def test_the_report_of_a_job_carries_verdicts_and_warns_of_what_broke(spark: SparkSession, lake: str) -> None:
    rows = spark.createDataFrame([(1, FIRST, 0), (1, FIRST, 0)], contract(CUSTOMERS).ddl)
    version = write_table(rows, lake, CUSTOMERS, partitions=[FIRST])
    report = validated(spark, lake, JobReport({CUSTOMERS: TableReport(2, version=version), "ranker": TableReport(5)}))
    assert [verdict.name for verdict in report.tables[CUSTOMERS].checks if not verdict.passed] == ["table_key"]
    assert report.tables["ranker"] == TableReport(5)
    (warning,) = report.warnings
    assert warning.startswith("gold.segments breaks its contract: user_id, as_of: once in what was written (2 of 2")
    assert report.check_seconds > 0


@pytest.mark.parametrize("name", table_names())
def test_every_contract_becomes_a_suite_with_an_expectation_a_check(name: str) -> None:
    # Loads Great Expectations, which collecting tests should not wait for.
    from spark_jobs.lake.suite import CHECK, suite_of  # noqa: PLC0415

    promised: TableContract = contract(name)
    told = {(one.meta or {})[CHECK] for one in suite_of(promised).expectations}
    assert told == {check.name for check in checks_of(promised)}
