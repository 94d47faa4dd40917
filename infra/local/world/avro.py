"""Bank events as landed: Avro files, one folder a topic, day and hour of the bank's time zone."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import numpy as np

from data_contracts.events import newest
from infra.local.world.arrays import Ints
from infra.local.world.plan import Plan

TOPICS = ("bank.transactions", "bank.product_events", "campaign.interactions", "digital.telemetry")


@cache
def schema(topic: str) -> Any:
    """A topic's schema with its keys in alphabetical order: fastavro puts them in any, and writes them to each file."""
    return _sorted(fastavro.parse_schema(newest(topic).parsed))


def _sorted(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _sorted(part[key]) for key in sorted(part)}
    return [_sorted(each) for each in part] if isinstance(part, list) else part


def write_topic(
    folder: Path, topic: str, columns: Mapping[str, Sequence[Any]], *, plan: Plan, day: int, seconds: Ints, again: float
) -> int:
    """Write a day of a topic and return its rows. `columns` are all but event_id and event_time, in order of `seconds`.

    Of the events a random share `again` is delivered twice, with the same id.
    """
    n = len(seconds)
    rng = plan.rng("avro " + topic, day)
    times = (plan.midnight(day) + seconds * 1_000_000 + np.sort(rng.integers(0, 1_000_000, n))).tolist()
    stem = f"{topic.partition('.')[2][:2]}-{plan.date(day):%Y%m%d}-"
    every = {"event_id": [f"{stem}{number:x}" for number in range(n)], "event_time": times, **columns}
    rows = np.sort(np.concatenate([np.arange(n), np.flatnonzero(rng.random(n) < again)]))
    bounds = np.searchsorted(seconds[rows], np.arange(25) * 3600)
    for hour in range(24):
        picked = rows[bounds[hour] : bounds[hour + 1]].tolist()
        if picked:
            path = folder / topic / plan.date(day).isoformat() / f"{hour:02d}" / "part-0.avro"
            _write_file(path, topic, every, picked)
    return len(rows)


def _write_file(path: Path, topic: str, columns: Mapping[str, Sequence[Any]], rows: list[int]) -> None:
    names = tuple(columns)
    picked = [[column[row] for row in rows] for column in columns.values()]
    records = [dict(zip(names, row, strict=True)) for row in zip(*picked, strict=True)]
    # Left to itself the marker is random, and the file another one each time.
    marker = hashlib.md5(str(path.parts[-4:]).encode(), usedforsecurity=False).digest()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fastavro.writer(
            file,
            schema(topic),
            records,
            codec="deflate",
            sync_interval=256_000,
            sync_marker=marker,
            codec_compression_level=1,
        )
