"""Fixtures that more than one folder uses: one Spark session a worker."""

import tempfile
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from spark_jobs.lake.session import spark_session


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    with tempfile.TemporaryDirectory() as folder:
        session = spark_session("tests", master="local[2]", driver_memory="1g")
        session.conf.set("spark.sql.warehouse.dir", folder)
        yield session
        session.stop()
