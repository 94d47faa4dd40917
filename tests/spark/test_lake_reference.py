"""The reference documents in the lake: the newest is read, and nothing else passes for one."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from data_contracts.catalogue import Rules
from data_contracts.errors import InputError
from spark_jobs.lake.reference import read_reference
from spark_jobs.lake.tables import write_table

DDL = "version string, document string"


def write_rules(spark: SparkSession, lake: Path, *versions: str) -> None:
    rows = [(version, Rules(version=version).model_dump_json()) for version in versions]
    write_table(spark.createDataFrame(rows, DDL), str(lake), "silver.rules")


def test_the_rules_written_last_are_read(spark: SparkSession, tmp_path: Path) -> None:
    for version in ("1", "2"):
        write_rules(spark, tmp_path, version)
    assert read_reference(str(tmp_path)).rules.version == "2"


def test_what_was_never_delivered_is_empty(tmp_path: Path) -> None:
    reference = read_reference(str(tmp_path))
    assert (reference.catalogue.version, reference.catalogue.products) == ("none", ())
    assert reference.reasons.version == "none"


def test_a_table_that_is_not_one_document_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    write_rules(spark, tmp_path, "1", "2")
    with pytest.raises(InputError, match="version 0 is not one document: run ingest again"):
        read_reference(str(tmp_path))
