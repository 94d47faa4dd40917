"""`recs bench soak`: half of what the service can do, for minutes, with flat memory; and how soon it is ready."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import psutil
import uvloop

from infra.bench.contenders import Stage, asked, stage
from infra.bench.figure import Figure
from infra.bench.load import Load, closed_loop, open_loop
from infra.bench.service import running_api

_CONNECTIONS, _FULL_REQUESTS = 64, 3_000
_SAMPLE_SECONDS = 2.0
_STARTS = 3
# Pools and caches fill up first.
_WARM_SHARE = 0.3


@dataclass(frozen=True)
class _Sample:
    seconds: float
    mb: float


def run(*, seconds: float = 600, users: int = 200_000) -> list[Figure]:
    with stage(users=users) as running:
        ready = median(_seconds_to_ready(running) for _ in range(_STARTS))
        load, samples = uvloop.run(_soaked(running, seconds))
    slope = slope_per_minute(samples[int(_WARM_SHARE * len(samples)) :])
    note = f"{seconds:.0f} s at {load.per_second:.0f} requests/s; {samples[-1].mb:.0f} MB at the end"
    return [
        Figure("start to ready", round(ready, 2), "s", goal=3),
        Figure("growth of memory at half capacity", round(slope, 3), "MB/minute", goal=0.5, note=note),
        Figure("p99 at half capacity", round(load.percentile(99), 2), "ms", goal=100),
        Figure("errors at half capacity", load.errors + load.refused, "requests", goal=0),
    ]


def slope_per_minute(samples: Sequence[_Sample]) -> float:
    """MB a minute, by least squares."""
    times, sizes = np.array([(sample.seconds, sample.mb) for sample in samples]).T
    return float(60 * np.polyfit(times, sizes, 1)[0])


def _seconds_to_ready(running: Stage) -> float:
    started = time.perf_counter()
    with running_api(running.environment):
        return time.perf_counter() - started


async def _soaked(running: Stage, seconds: float) -> tuple[Load, list[_Sample]]:
    random, process = np.random.default_rng(13), running.processes["rest"]
    async with asked(running) as asks:
        ask = asks["rest"]
        warm, full = (random.choice(running.users, _FULL_REQUESTS).tolist() for _ in range(2))
        await closed_loop(ask, warm, askers=_CONNECTIONS)
        rate = (await closed_loop(ask, full, askers=_CONNECTIONS)).per_second / 2
        sampling = asyncio.create_task(_sampled(process, seconds))
        users = random.choice(running.users, int(rate * seconds)).tolist()
        load = await open_loop(ask, users, per_second=rate, watched=running.watched("rest"))
        return load, await sampling


async def _sampled(process: psutil.Process, seconds: float) -> list[_Sample]:
    started = time.perf_counter()
    samples: list[_Sample] = []
    while (now := time.perf_counter() - started) < seconds:
        samples.append(_Sample(now, process.memory_full_info().uss / 2**20))
        await asyncio.sleep(min(_SAMPLE_SECONDS, seconds / 10))
    return samples
