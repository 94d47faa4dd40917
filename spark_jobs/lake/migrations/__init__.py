"""Numbered steps that bring a lake written by older contracts up to today's, run at the beginning of ingest.

A compatible change needs no step: `read_table` gives null for a nullable column that a table was written without, and
the next write adds it. A step is for what an incompatible one leaves behind, or for a widened column, which Delta does
not widen by itself: usually one `write_table(fixed(read_table(…)), lake, name)`, which is one commit.

A new step is a module here with a function of (spark, lake), and one line in `STEPS`. It may be killed at any moment
and is then run again, so it must be able to find its own work done. What was applied is recorded in the lake, one file
a step in `{lake}/migrations`, written when the step has ended.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyarrow import fs
from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from spark_jobs.lake.files import file_system, write_bytes
from spark_jobs.lake.migrations.step_0001_user_ids import reject_impossible_user_ids
from spark_jobs.lake.migrations.step_0002_validity import remove_tables_without_validity


@dataclass(frozen=True)
class Step:
    """`name` says what it does, as in `0001_reject_impossible_user_ids`; a number is never used again."""

    number: int
    run: Callable[[SparkSession, str], None]

    @property
    def name(self) -> str:
        return f"{self.number:04d}_{self.run.__name__}"


STEPS: tuple[Step, ...] = (Step(1, reject_impossible_user_ids), Step(2, remove_tables_without_validity))


def migrate(spark: SparkSession, lake: str, *, steps: Sequence[Step] = STEPS) -> tuple[str, ...]:
    """Run the steps that the lake has not seen, in order of their numbers; returns their names.

    Raises InputError for a lake that knows steps which this code does not: it was written by newer code.
    """
    done = applied(lake)
    known = {step.number for step in steps}
    if newer := sorted(name for number, name in done.items() if number not in known):
        raise InputError(f"{lake} was migrated by newer code ({', '.join(newer)}): run that, or restore an older lake")
    missing = sorted((step for step in steps if step.number not in done), key=lambda step: step.number)
    for step in missing:
        step.run(spark, lake)
        record = {"step": step.name, "applied_at": datetime.now(UTC).isoformat(timespec="seconds")}
        write_bytes(f"{_folder(lake)}/{step.name}.json", json.dumps(record).encode())
    return tuple(step.name for step in missing)


def applied(lake: str) -> dict[int, str]:
    """Names of the steps that a lake has seen, by number."""
    system, path = file_system(_folder(lake))
    infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    names = sorted(info.base_name.removesuffix(".json") for info in infos if info.base_name.endswith(".json"))
    return {int(name.partition("_")[0]): name for name in names}


def _folder(lake: str) -> str:
    return f"{lake}/migrations"
