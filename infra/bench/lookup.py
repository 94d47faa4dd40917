"""`recs bench lookup`: the service with everything on, over REST and gRPC, beside the obvious service in the same run.

Load generator, database and services share the machine. Rounds alternate between the services, so that what else the
machine does meets all of them.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import uvloop
from numpy.typing import NDArray

from infra.bench.contenders import Stage, asked, stage
from infra.bench.figure import Figure
from infra.bench.load import Ask, Load, Said, closed_loop, merged, open_loop
from infra.bench.lookup_figures import Found, Paused, figures

_CONNECTIONS = 64
_ALL, _OURS = ("rest", "grpc", "obvious"), ("rest", "grpc")
_SLOW, _FAST = 100, 200  # requests a second
# Of its throughput: in front of a service that is asked for all it can do a queue has no end.
_SUSTAINED = 0.8
_RECOVERY_SECONDS = 30


@dataclass(frozen=True)
class Trial:
    """How much is measured."""

    users: int = 200_000
    rounds: int = 3
    seconds: float = 6  # of each open loop
    closed_requests: int = 2_500
    batches: int = 12


def run(trial: Trial | None = None) -> list[Figure]:
    chosen = trial or Trial()
    with stage(users=chosen.users) as running:
        return figures(uvloop.run(_measured(chosen, running)))


async def _measured(trial: Trial, running: Stage) -> Found:
    async with asked(running) as asks:
        bench = _Bench(trial, running, asks)
        slow, full = await bench.rounds()
        sustained = _SUSTAINED * full["obvious"].per_second
        return Found(
            slow=slow,
            fast={name: await bench.paced(name, _FAST) for name in _ALL},
            full=full,
            sustained=sustained,
            ended={name: await bench.paced(name, sustained) for name in ("rest", "obvious")},
            batches=await bench.batches(),
            crowded={name: await bench.paced(name, 3 * full[name].per_second) for name in _OURS},
            paused={name: await bench.without_clickhouse(name) for name in _OURS},
        )


class _Bench:
    def __init__(self, trial: Trial, running: Stage, asks: Mapping[str, Ask]) -> None:
        self._trial = trial
        self._running = running
        self._asks = asks
        self._random = np.random.default_rng(11)

    async def rounds(self) -> tuple[Mapping[str, Load], Mapping[str, Load]]:
        """At ease, and at full load; the first round warms up."""
        slow: dict[str, list[Load]] = {name: [] for name in _ALL}
        full: dict[str, list[Load]] = {name: [] for name in _ALL}
        for number in range(self._trial.rounds + 1):
            for name in _ALL:
                at_ease, at_full = await self.paced(name, _SLOW), await self.closed(name)
                if number:
                    slow[name].append(at_ease)
                    full[name].append(at_full)
        return {name: merged(slow[name]) for name in _ALL}, {name: merged(full[name]) for name in _ALL}

    async def paced(self, name: str, per_second: float) -> Load:
        users = self._users(int(per_second * self._trial.seconds))
        watched = self._running.watched(name)
        return await open_loop(self._asks[name], users.tolist(), per_second=per_second, watched=watched)

    async def closed(self, name: str) -> Load:
        users = self._users(self._trial.closed_requests)
        watched = self._running.watched(name)
        return await closed_loop(self._asks[name], users.tolist(), askers=_CONNECTIONS, watched=watched)

    async def batches(self) -> Load:
        asked_of = [self._users(1_000).tolist() for _ in range(self._trial.batches)]
        return await closed_loop(self._asks["batch"], asked_of, askers=1)

    async def without_clickhouse(self, name: str) -> Paused:
        """While it is paused, and how long after its return the first personal answer comes."""
        with self._running.clickhouse_paused():
            load = await self.paced(name, _SLOW)
        back = time.perf_counter()
        while await self._asks[name](int(self._users(1)[0])) is not Said.GOOD:
            if time.perf_counter() - back > _RECOVERY_SECONDS:
                break
            await asyncio.sleep(0.05)
        return Paused(load, seconds_to_recover=time.perf_counter() - back)

    def _users(self, number: int) -> NDArray[np.int64]:
        return self._random.choice(self._running.users, number)
