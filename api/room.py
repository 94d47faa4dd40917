"""How many requests may be in progress at once: as many as are answered in time, learnt from how long they take.

A fixed number is too small for a quick machine or too large for a slow one, where requests queue for seconds. The limit
goes up by steps while requests spend no longer here than the target and is cut when they do: additive increase,
multiplicative decrease, by windows, as in TCP and in Netflix's concurrency-limits (AIMDLimit, WindowedLimit). What a
request waits for the database does not count: a slow one is no reason to turn anybody away.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from api import metrics
from data_contracts.settings import Settings

_WINDOW_SECONDS = 0.1
_FEWEST_SAMPLES = 10
_STEP = 0.05
_DEEPEST_CUT = 0.5
# One late answer in ten is noise; more are a queue.
_JUDGED_AT = 0.9
# Two batches of look-ups of a busy service: with fewer in progress each pays more of what a batch costs, and the queue
# gets no shorter. Who is turned away and asks again at once costs as much as an answer.
_LEAST = 64
# Answers from memory cost little: so many times more of them may be in progress.
_FROM_MEMORY = 4


class AdaptiveLimit:
    """`limit` is between `least` and `most`, and starts at `most`."""

    def __init__(self, *, target_seconds: float, least: int, most: int) -> None:
        self._target = target_seconds
        self._least = least
        self._most = most
        self._limit = float(most)
        self._samples: list[float] = []
        self._most_at_once = 0
        self._ends = 0.0

    @property
    def limit(self) -> int:
        return int(self._limit)

    def sample(self, seconds: float, *, at_once: int, now: float) -> None:
        """A request took `seconds` while `at_once` were in progress."""
        if not self._samples:
            self._ends = now + _WINDOW_SECONDS
        self._samples.append(seconds)
        self._most_at_once = max(self._most_at_once, at_once)
        if now >= self._ends and len(self._samples) >= _FEWEST_SAMPLES:
            self._judge(sorted(self._samples)[int(_JUDGED_AT * len(self._samples))])
            self._samples, self._most_at_once = [], 0

    def _judge(self, seconds: float) -> None:
        if seconds > self._target:
            self._limit = max(self._least, self._limit * max(_DEEPEST_CUT, self._target / seconds))
        elif 2 * self._most_at_once >= self._limit:  # else nobody knows what more would do
            self._limit = min(self._most, self._limit + max(1.0, _STEP * self._limit))


@dataclass(slots=True)
class Place:
    """Of one request. `elsewhere`: seconds that it waited for the database, set where its time says how busy we are."""

    may_ask_database: bool
    since: float
    elsewhere: float | None = None


# Of the request that is being answered; outside of any, a place like others.
PLACE: ContextVar[Place] = ContextVar("place", default=Place(may_ask_database=True, since=0.0))  # noqa: B039


class Room:
    def __init__(
        self, limit: AdaptiveLimit, *, has_memory: bool, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        self._limit = limit
        self._has_memory = has_memory
        self._monotonic = monotonic
        self._at_once = 0

    @classmethod
    def of(cls, settings: Settings) -> "Room":
        most = settings.max_concurrency
        limit = AdaptiveLimit(target_seconds=settings.queue_target_ms / 1000, least=min(_LEAST, most), most=most)
        room = cls(limit, has_memory=settings.overload == "static")
        metrics.gauge("recs_requests_in_progress", "Requests being answered now", lambda: room._at_once)
        metrics.gauge("recs_requests_limit", "Requests that may be in progress at once", lambda: limit.limit)
        return room

    def enter(self, *, always: bool = False) -> Place | None:
        """None where there is no room, not even for an answer from memory."""
        has_room = always or self._at_once < self._limit.limit
        if not has_room and not (self._has_memory and self._at_once < _FROM_MEMORY * self._limit.limit):
            metrics.REFUSALS.labels("busy").inc()
            return None
        self._at_once += 1
        place = Place(may_ask_database=has_room, since=self._monotonic())
        PLACE.set(place)
        return place

    def leave(self, place: Place) -> None:
        if place.elsewhere is not None:
            now = self._monotonic()
            self._limit.sample(now - place.since - place.elsewhere, at_once=self._at_once, now=now)
        self._at_once -= 1
