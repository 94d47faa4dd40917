"""Load on an HTTP service: an open loop at a fixed rate, and a closed loop of so many connections."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np
import psutil
from numpy.typing import NDArray


@dataclass(frozen=True)
class Load:
    """What a load found. Latencies count from when a request was due, so waiting for a slow service counts too."""

    latencies_ms: NDArray[np.float64]
    errors: int
    degraded: int  # answered, but not as well as can be
    seconds: float
    cpu_ms: float  # of the watched processes, all requests together

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.latencies_ms, percent))

    @property
    def cpu_ms_per_request(self) -> float:
        return self.cpu_ms / len(self.latencies_ms)

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds


def merged(loads: Sequence[Load]) -> Load:
    return Load(
        latencies_ms=np.concatenate([load.latencies_ms for load in loads]),
        errors=sum(load.errors for load in loads),
        degraded=sum(load.degraded for load in loads),
        seconds=sum(load.seconds for load in loads),
        cpu_ms=sum(load.cpu_ms for load in loads),
    )


@dataclass(frozen=True)
class Contestant:
    """A service under load: the processes whose CPU counts, and which answers are as good as can be."""

    watched: Sequence[psutil.Process]
    is_good: Callable[[bytes], bool]
    headers: Mapping[str, str] = field(default_factory=dict)

    async def open_loop(self, urls: Sequence[str], *, per_second: float) -> Load:
        """Ask for each URL when it is due, whatever became of those before."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            cpu, started = self._cpu_ms(), time.perf_counter()

            async def one(position: int, url: str) -> "_Answer":
                due = started + position / per_second
                await asyncio.sleep(due - time.perf_counter())
                return await self._asked(session, url, since=due)

            answers = await asyncio.gather(*(one(position, url) for position, url in enumerate(urls)))
            return _load(answers, seconds=time.perf_counter() - started, cpu_ms=self._cpu_ms() - cpu)

    async def closed_loop(self, urls: Sequence[str], *, connections: int) -> Load:
        """Ask for all URLs, each connection for the next as soon as it has its answer."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
            waiting = iter(urls)
            answers: list[_Answer] = []
            cpu, started = self._cpu_ms(), time.perf_counter()

            async def connection() -> None:
                for url in waiting:
                    answers.append(await self._asked(session, url, since=time.perf_counter()))

            await asyncio.gather(*(connection() for _ in range(connections)))
            return _load(answers, seconds=time.perf_counter() - started, cpu_ms=self._cpu_ms() - cpu)

    async def _asked(self, session: aiohttp.ClientSession, url: str, *, since: float) -> "_Answer":
        try:
            async with session.get(url, headers=self.headers) as response:
                body = await response.read()
                is_answered = response.status == 200
        except aiohttp.ClientError:
            return _Answer(None, is_good=False)
        milliseconds = 1000 * (time.perf_counter() - since) if is_answered else None
        return _Answer(milliseconds, is_good=self.is_good(body))

    def _cpu_ms(self) -> float:
        times = [process.cpu_times() for process in self.watched]
        return 1000 * sum(used.user + used.system for used in times)


@dataclass(frozen=True)
class _Answer:
    milliseconds: float | None  # until the whole answer was there; None for an error
    is_good: bool


def _load(answers: Sequence[_Answer], *, seconds: float, cpu_ms: float) -> Load:
    answered = [answer for answer in answers if answer.milliseconds is not None]
    return Load(
        latencies_ms=np.array([answer.milliseconds for answer in answered]),
        errors=len(answers) - len(answered),
        degraded=sum(not answer.is_good for answer in answered),
        seconds=seconds,
        cpu_ms=cpu_ms,
    )
