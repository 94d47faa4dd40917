"""Fixtures that more than one folder uses: one Spark session a worker, and an empty model registry to copy."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from data_contracts.settings import Settings
from spark_jobs.lake.session import spark_session
from spark_jobs.lifecycle.registry import Registry

# Tests of what is answered need no tokens and no limits, and their world has a date of its own; those of who may ask,
# and how often, set these themselves.
for name, value in {
    "RECS_AUTH": "off",
    "RECS_CLIENT_RATE": "0",
    "RECS_USER_RATE": "0",
    "RECS_MAX_CONCURRENCY": "10000",
    "RECS_MAX_SNAPSHOT_AGE_DAYS": "36500",
}.items():
    os.environ.setdefault(name, value)

# A slow machine is no failure: nothing here is timed.
settings.register_profile("recs", deadline=None)
settings.load_profile("recs")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = spark_session("tests", master="local[2]", driver_memory="1g", java_options=Settings().spark_java_options)
    # A test's plan runs once, over a few rows: compiling it is a seventh of the time. The nights of end-to-end tests
    # are compiled, as in production.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    session.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with MLflow's tables, which take seconds to make."""
    folder = tmp_path_factory.mktemp("registry")
    Registry(f"sqlite:///{folder / 'mlflow.db'}", lake=str(folder)).versions("products")
    return folder / "mlflow.db"


@pytest.fixture
def registry_url(empty_registry: Path, tmp_path: Path) -> str:
    shutil.copyfile(empty_registry, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"
