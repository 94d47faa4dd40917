"""How much one caller may ask for: token buckets per client and per user.

`Buckets` is the seam: in memory here, each process by itself; a shared store (Redis, a sidecar) is another class with
the same `take`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from api import metrics
from api.security.errors import Refused
from data_contracts.settings import Settings

_REMEMBERED = 50_000


@dataclass(frozen=True)
class Taken:
    """`remaining` tokens after the try; `wait_seconds` until there is one again, 0 where it was granted."""

    is_granted: bool
    remaining: int
    wait_seconds: float


class Buckets(Protocol):
    def take(self, key: str) -> Taken: ...


class MemoryBuckets:
    """Buckets that fill at `per_second` up to `burst`; of the many keys seen, those used last are remembered."""

    def __init__(self, *, per_second: float, burst: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}  # key -> tokens, when

    def take(self, key: str) -> Taken:
        now = self._monotonic()
        held, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, held + (now - since) * self._per_second)
        is_granted = tokens >= 1
        left = tokens - 1 if is_granted else tokens
        if len(self._buckets) >= _REMEMBERED:
            # The one used longest ago: a bucket that old is full again, or its owner asks from many names.
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key] = (left, now)
        return Taken(is_granted, int(left), 0.0 if is_granted else (1 - left) / self._per_second)


@dataclass(frozen=True)
class Limits:
    """None: no limit. `client` is by the token's client, `user` by client and user together."""

    client: Buckets | None
    user: Buckets | None
    client_policy: str = ""
    user_policy: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        client, user = settings.client_rate, settings.user_rate
        return cls(
            client=MemoryBuckets(per_second=client, burst=2 * client) if client else None,
            user=MemoryBuckets(per_second=user, burst=2 * user) if user else None,
            client_policy=_policy("client", client),
            user_policy=_policy("user", user),
        )

    def take(self, client: str, user: str | None) -> dict[str, str]:
        """Headers that tell what is left; raises Refused (429)."""
        told: dict[str, str] = {}
        if self.client is not None:
            told = _told("client", self.client.take(client), self.client_policy)
        if self.user is not None and user is not None:
            # A number in another spelling is the same user.
            told = _told("user", self.user.take(f"{client}/{user.lstrip('0')[:20]}"), self.user_policy)
        return told


def _told(name: str, taken: Taken, policy: str) -> dict[str, str]:
    """The fields of the IETF draft on RateLimit headers: `"name";r=remaining;t=seconds`."""
    seconds = math.ceil(taken.wait_seconds)
    told = {"RateLimit": f'"{name}";r={taken.remaining};t={seconds}', "RateLimit-Policy": policy}
    if taken.is_granted:
        return told
    metrics.REFUSALS.labels(f"rate of {name}").inc()
    detail = f"too many requests of this {name}"
    raise Refused(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={**told, "Retry-After": str(max(1, seconds))})


def _policy(name: str, rate: float) -> str:
    return f'"{name}";q={int(2 * rate)};w=2'
