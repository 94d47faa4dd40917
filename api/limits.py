"""How much one caller may ask for: token buckets per client and per user.

`Buckets` is the seam: in memory here, each process by itself; a shared store (Redis, a sidecar) is another class with
the same `take`. A call about many users takes a token of each, and of none where one of them has none left.
"""

import math
import time
from collections.abc import Callable, Iterable
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
    def take(self, *keys: str) -> Taken:
        """A token of each of these different keys, or of none; the scarcest is told."""


class MemoryBuckets:
    """Buckets that fill at `per_second` up to `burst`; of the many keys seen, those used last are remembered."""

    def __init__(self, *, per_second: float, burst: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}  # key -> tokens, when

    def take(self, *keys: str) -> Taken:
        now = self._monotonic()
        tokens = {key: self._tokens(key, now) for key in keys}
        least = min(tokens.values())
        is_granted = least >= 1
        for key, held in tokens.items():
            self._keep(key, held - is_granted, now)
        left = least - is_granted
        return Taken(is_granted, int(left), 0.0 if is_granted else (1 - left) / self._per_second)

    def _tokens(self, key: str, now: float) -> float:
        held, since = self._buckets.get(key, (self._burst, now))
        return min(self._burst, held + (now - since) * self._per_second)

    def _keep(self, key: str, tokens: float, now: float) -> None:
        self._buckets.pop(key, None)
        if len(self._buckets) >= _REMEMBERED:
            # The one used longest ago: a bucket that old is full again, or its owner asks from many names.
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key] = (tokens, now)


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
        return told if user is None else told | self.take_users(client, [user])

    def take_users(self, client: str, users: Iterable[str]) -> dict[str, str]:
        """The same for those whom a call is about, each counted once; nothing is told without a limit."""
        if self.user is None:
            return {}
        # A number in another spelling is the same user.
        keys = {f"{client}/{user.lstrip('0')[:20]}" for user in users}
        return _told("user", self.user.take(*keys), self.user_policy)


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
