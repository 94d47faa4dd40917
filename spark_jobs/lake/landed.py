"""Events as `recs land` left them: `{lake}/landing/<topic>/<day>/<hour>/*.avro`."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import fastavro
from pyarrow import fs

from spark_jobs.lake.files import file_system, open_stream


def landed_events(lake: str, topic: str, days: Iterable[date]) -> Iterator[Mapping[str, Any]]:
    """Of days of the events' own time, day by day; nothing of days without any. Times are aware, UTC."""
    for day in days:
        system, path = file_system(f"{lake}/landing/{topic}/{day.isoformat()}")
        for info in system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True)):
            if info.path.endswith(".avro"):
                with open_stream(system, info.path) as stream:
                    yield from _rows(fastavro.reader(stream))


def _rows(reader: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    yield from reader
