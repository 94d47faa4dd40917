"""The runner that the settings name, with the lake's lock, for as long as a run lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster_project.lake_lock import lake_lock
from dagster_project.runner import LocalSparkRunner
from data_contracts.settings import Settings


@contextmanager
def launching(settings: Settings, *, wait_seconds: float = 0) -> Iterator[Any]:
    """A SparkRunner; what it started ends with the block. Raises BusyError when another night holds the lake for
    longer than `wait_seconds`, and InputError for settings that do not go together.
    """
    if settings.spark_runner == "dataproc":
        from dagster_project.dataproc.runner import DataprocSparkRunner  # noqa: PLC0415 (an SDK takes a second to load)

        with lake_lock(settings.lake_uri, wait_seconds=wait_seconds), DataprocSparkRunner.running(settings) as remote:
            yield remote
        return
    with (
        lake_lock(settings.lake_uri, wait_seconds=wait_seconds) as lock,
        LocalSparkRunner.running(lake=settings.lake_uri, logs=settings.data_dir / "logs", lock=lock) as local,
    ):
        yield local
