"""The demo's last scene: overnight the warehouse delivers amounts in kopecks, and the publish gate notices."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dagster_project.runner import SparkRunner
from data_contracts.errors import GateError, RecsError
from data_contracts.settings import Settings
from infra.console import console
from infra.night_view import run_and_show

_AMOUNTS = ("turnover", "balance")
_KOPECKS = 100


def show_stopped_night(settings: Settings, world: Path, after: date, *, runner: SparkRunner) -> None:
    """The next night, with the models of the one before. Raises RecsError when nothing stops it."""
    tonight = after + timedelta(days=1)
    with _in_kopecks(world / "dwh" / "aggregates", newest=after, tonight=tonight):
        try:
            run_and_show(settings.model_copy(update={"train": "never"}), tonight, runner=runner)
        except GateError as stopped:
            console.print(f"[yellow]{stopped}[/yellow]")
            return
    raise RecsError(f"the night of {tonight} was published although its amounts are {_KOPECKS} times too large")


@contextmanager
def _in_kopecks(deliveries: Path, *, newest: date, tonight: date) -> Iterator[None]:
    """A delivery of tonight that is the newest one in another unit, gone after the block."""
    copy = deliveries / f"dt={tonight}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(deliveries / f"dt={newest}", copy)
    try:
        for path in copy.glob("*.parquet"):
            pq.write_table(_times(pq.read_table(path), _KOPECKS), path)
        yield
    finally:
        shutil.rmtree(copy)


def _times(table: pa.Table, factor: int) -> pa.Table:
    for name in _AMOUNTS:
        place = table.column_names.index(name)
        table = table.set_column(place, name, pc.multiply(table.column(name), float(factor)))
    return table
