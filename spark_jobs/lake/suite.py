"""A contract's checks as a Great Expectations suite, and the frame that it is validated on.

Two checks need more than one column of one row, and become a column of their own, so that Spark answers the whole
suite in one pass: how often a row's key occurs (a window, whose shuffle carries only the columns that are checked), and
whether all of a row's features are finite. Importing this module takes seconds: it loads Great Expectations.
"""

import os
from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import

from great_expectations import ExpectationSuite
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_be_of_type import ExpectColumnValuesToBeOfType
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.core.expect_table_columns_to_match_set import ExpectTableColumnsToMatchSet
from great_expectations.expectations.expectation import Expectation
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.checks import FLOATS, LARGEST_FLOAT, Check, Subject, checks_of
from data_contracts.columns import FEATURE_PREFIX
from data_contracts.tables import Column, ColumnType, Severity, TableContract

CHECK = "check"
_COPIES, _FINITE = "copies of the key", "features are finite"
_SEVERITIES = {Severity.ERROR: "critical", Severity.WARN: "warning"}
_TYPES = {
    ColumnType.BOOLEAN: "BooleanType",
    ColumnType.TINYINT: "ByteType",
    ColumnType.SMALLINT: "ShortType",
    ColumnType.INT: "IntegerType",
    ColumnType.BIGINT: "LongType",
    ColumnType.FLOAT: "FloatType",
    ColumnType.DOUBLE: "DoubleType",
    ColumnType.STRING: "StringType",
    ColumnType.BINARY: "BinaryType",
    ColumnType.DATE: "DateType",
    ColumnType.TIMESTAMP: "TimestampType",
}


def suite_of(promised: TableContract) -> ExpectationSuite:
    """Every expectation carries its check's name in `meta`."""
    expectations = [one for check in checks_of(promised) for one in _expectations(check, promised)]
    return ExpectationSuite(f"{promised.name} {promised.version}", expectations=expectations)


def checked_frame(frame: DataFrame, promised: TableContract) -> DataFrame:
    """The frame with the columns that the suite's own two checks are about; without its features one by one."""
    if promised.feature_columns:
        features = [name for name in frame.columns if name.startswith(FEATURE_PREFIX)]
        frame = frame.select(*promised.column_names, _are_finite(features).alias(_FINITE))
    if promised.key:
        copies = F.count(F.lit(1)).over(Window.partitionBy(*promised.key))
        frame = frame.withColumn(_COPIES, copies)
    return frame


def _are_finite(features: list[str]) -> SparkColumn:
    """A sum is finite exactly when all of its terms are: as doubles, floats cannot overflow."""
    terms = [F.coalesce(F.col(f"`{name}`").cast("double"), F.lit(0.0)) for name in features]
    return F.abs(reduce(add, terms, F.lit(0.0))) < F.lit(float("inf"))


def _expectations(check: Check, promised: TableContract) -> Iterator[Expectation]:
    common: dict[str, Any] = {"severity": _SEVERITIES[check.severity], "meta": {CHECK: check.name}}
    if check.column is not None:
        yield from _of_column(check.column, common)
    elif check.subject is Subject.KEY:
        yield ExpectColumnValuesToBeBetween(column=_COPIES, max_value=1, **common)
    elif check.subject is Subject.FEATURES:
        yield ExpectColumnValuesToBeInSet(column=_FINITE, value_set=[True], **common)
    else:
        names = {*promised.column_names, *([_COPIES] if promised.key else [])}
        yield ExpectTableColumnsToMatchSet(column_set=sorted(names), exact_match=True, **common)


def _of_column(column: Column, common: dict[str, Any]) -> Iterator[Expectation]:
    name = column.name
    yield ExpectColumnValuesToBeOfType(column=name, type_=_TYPES.get(column.type, "ArrayType"), **common)
    if not column.nullable:
        yield ExpectColumnValuesToNotBeNull(column=name, **common)
    if column.values is not None:
        yield ExpectColumnValuesToBeInSet(column=name, value_set=list(column.values), **common)
    lowest, highest = column.min, column.max
    if column.type in FLOATS:  # neither infinite nor NaN, which Spark takes for the largest of all
        lowest, highest = (
            (-LARGEST_FLOAT if lowest is None else lowest),
            (LARGEST_FLOAT if highest is None else highest),
        )
    if lowest is not None or highest is not None:
        yield ExpectColumnValuesToBeBetween(column=name, min_value=lowest, max_value=highest, **common)
