"""Load on a service, whatever way it is asked: an open loop at a fixed rate, and a closed loop of so many askers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

_TICK_SECONDS = 0.001


class Said(Enum):
    """What became of a request. DEGRADED: answered, but not as well as can be; REFUSED: turned away as agreed."""

    GOOD = auto()
    DEGRADED = auto()
    REFUSED = auto()
    FAILED = auto()


Ask = Callable[[Any], Awaitable[Said]]


@dataclass(frozen=True)
class Load:
    """What a load found. Latencies are of answers, and count from when a request was due: waiting counts too."""

    latencies_ms: NDArray[np.float64]
    errors: int
    refused: int
    degraded: int
    seconds: float
    cpu_ms: float  # of the watched processes, all requests together

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.latencies_ms, percent)) if len(self.latencies_ms) else float("inf")

    @property
    def cpu_ms_per_request(self) -> float:
        return self.cpu_ms / max(1, len(self.latencies_ms))

    @property
    def per_second(self) -> float:
        """Answers."""
        return len(self.latencies_ms) / self.seconds

    @property
    def degraded_percent(self) -> float:
        return 100 * self.degraded / max(1, len(self.latencies_ms))


def merged(loads: Sequence[Load]) -> Load:
    return Load(
        latencies_ms=np.concatenate([load.latencies_ms for load in loads]),
        errors=sum(load.errors for load in loads),
        refused=sum(load.refused for load in loads),
        degraded=sum(load.degraded for load in loads),
        seconds=sum(load.seconds for load in loads),
        cpu_ms=sum(load.cpu_ms for load in loads),
    )


async def open_loop(
    ask: Ask, questions: Sequence[Any], *, per_second: float, watched: Sequence[psutil.Process] = ()
) -> Load:
    """Ask each when it is due, whatever became of those before."""
    heard = _Heard(watched)
    asking: set[asyncio.Task[None]] = set()
    for position, question in enumerate(questions):
        due = heard.started + position / per_second
        while (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(max(ahead, _TICK_SECONDS))
        task = asyncio.create_task(heard.hear(ask, question, since=due))
        asking.add(task)
        task.add_done_callback(asking.discard)
        if position % 32 == 0:  # behind its time, it still lets answers in
            await asyncio.sleep(0)
    await asyncio.gather(*asking)
    return heard.load()


async def closed_loop(
    ask: Ask, questions: Sequence[Any], *, askers: int, watched: Sequence[psutil.Process] = ()
) -> Load:
    """Ask them all, each asker the next one as soon as it has its answer."""
    heard = _Heard(watched)
    waiting = iter(questions)

    async def asker() -> None:
        for question in waiting:
            await heard.hear(ask, question, since=time.perf_counter())

    await asyncio.gather(*(asker() for _ in range(askers)))
    return heard.load()


class _Heard:
    def __init__(self, watched: Sequence[psutil.Process]) -> None:
        self._watched = watched
        self._said = dict.fromkeys(Said, 0)
        self._latencies: list[float] = []
        self._cpu = self._cpu_ms()
        self.started = time.perf_counter()

    async def hear(self, ask: Ask, question: Any, *, since: float) -> None:
        said = await ask(question)
        self._said[said] += 1
        if said in (Said.GOOD, Said.DEGRADED):
            self._latencies.append(1000 * (time.perf_counter() - since))

    def load(self) -> Load:
        return Load(
            latencies_ms=np.array(self._latencies),
            errors=self._said[Said.FAILED],
            refused=self._said[Said.REFUSED],
            degraded=self._said[Said.DEGRADED],
            seconds=time.perf_counter() - self.started,
            cpu_ms=self._cpu_ms() - self._cpu,
        )

    def _cpu_ms(self) -> float:
        times = [process.cpu_times() for process in self._watched]
        return 1000 * sum(used.user + used.system for used in times)
