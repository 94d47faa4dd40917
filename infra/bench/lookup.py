"""`recs bench lookup`: the service under an open loop of 100 requests/s, beside the obvious service in the same run.

Load generator, database and service share the machine. Rounds alternate between the two services, so that what else
the machine does meets both.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.bench.figure import Figure
from infra.bench.load import Contestant, Load, merged
from infra.bench.lookup_world import SNAPSHOT, publish_world
from infra.bench.service import running_app
from infra.local.clickhouse.running import running_clickhouse
from infra.tokens import ensure_issuer, issue
from sql.client import Address

_USERS, _PER_SECOND, _CONNECTIONS = 200_000, 100, 64
_ROUNDS, _ROUND_SECONDS, _CLOSED_REQUESTS = 3, 8, 3_000


@dataclass(frozen=True)
class _Service:
    url: str  # all but the user
    under_load: Contestant

    def urls(self, users: NDArray[np.int64]) -> list[str]:
        return [f"{self.url}&user_id={user}" for user in users.tolist()]


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as scratch, running_clickhouse(Path(scratch) / "clickhouse") as url:
        users = publish_world(Address(url=url), Path(scratch) / "snapshot", users=_USERS)
        environment = {**os.environ, "RECS_CLICKHOUSE_URL": url, "RECS_DATA_DIR": scratch}
        with (
            running_app("api.main:app", environment) as (ours, our_process),
            running_app("infra.bench.obvious_service:app", environment) as (obvious, obvious_process),
        ):
            database = _listening_at(url)
            services = (
                _Service(
                    f"{ours}/api/v1/recommendations?channel=web&top_k=10",
                    Contestant((our_process, database), is_good=_is_personal, headers=_bearer(scratch)),
                ),
                _Service(
                    f"{obvious}/recommendations?snapshot_id={SNAPSHOT}&top_k=10",
                    Contestant((obvious_process, database), is_good=bool),
                ),
            )
            return asyncio.run(_measured(services, users))


def _bearer(data_dir: str) -> dict[str, str]:
    settings = Settings(data_dir=Path(data_dir))
    ensure_issuer(settings)
    scopes = [Scope.RECOMMENDATIONS_READ]
    return {"Authorization": f"Bearer {issue(settings, scopes=scopes, client='bench', seconds=7200)}"}


def _is_personal(body: bytes) -> bool:
    """The answer's own tier, which stands before those of its items."""
    return b'"tier":"personal"' in body.partition(b'"recommendations"')[0]


async def _measured(services: Sequence[_Service], users: NDArray[np.int64]) -> list[Figure]:
    random = np.random.default_rng(11)
    paced: list[list[Load]] = [[] for _ in services]
    full: list[list[Load]] = [[] for _ in services]
    for number in range(_ROUNDS + 1):
        for service, open_loads, closed_loads in zip(services, paced, full, strict=True):
            asked = service.urls(random.choice(users, _PER_SECOND * _ROUND_SECONDS))
            slow = await service.under_load.open_loop(asked, per_second=_PER_SECOND)
            asked = service.urls(random.choice(users, _CLOSED_REQUESTS))
            fast = await service.under_load.closed_loop(asked, connections=_CONNECTIONS)
            if number:  # the first round warms up
                open_loads.append(slow)
                closed_loads.append(fast)
    return _figures([merged(loads) for loads in paced], [merged(loads) for loads in full])


def _figures(paced: Sequence[Load], full: Sequence[Load]) -> list[Figure]:
    (ours, obvious), (ours_full, obvious_full) = paced, full
    at = f"at {_PER_SECOND} requests/s"
    flat_out = f"at {_CONNECTIONS} connections"
    return [
        Figure(f"p50 {at}", round(ours.percentile(50), 2), "ms", round(obvious.percentile(50), 2), goal=8),
        Figure(f"p99 {at}", round(ours.percentile(99), 2), "ms", round(obvious.percentile(99), 2), goal=30),
        Figure(
            f"CPU per request {at}",
            round(ours.cpu_ms_per_request, 2),
            "ms",
            round(obvious.cpu_ms_per_request, 2),
            note="service and database; the obvious service reads no user state",
        ),
        Figure(f"answers below the personal tier {at}", _percent(ours), "%", goal=0),
        Figure(
            f"throughput {flat_out}",
            round(ours_full.per_second),
            "requests/s",
            round(obvious_full.per_second),
            better="higher",
        ),
        Figure(f"answers below the personal tier {flat_out}", _percent(ours_full), "%"),
        Figure("errors", ours.errors + ours_full.errors, "requests", obvious.errors + obvious_full.errors, goal=0),
    ]


def _percent(load: Load) -> float:
    return round(100 * load.degraded / len(load.latencies_ms), 2)


def _listening_at(url: str) -> psutil.Process:
    """The child of ours that listens at a URL."""
    port = int(url.rpartition(":")[2])
    for child in psutil.Process().children():
        if any(connection.laddr.port == port for connection in child.net_connections() if connection.laddr):
            return child
    raise LookupError(f"no child of this process listens at {url}")
