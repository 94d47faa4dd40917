"""What Prometheus is told at `/metrics`. Labels take their values from short lists only: routes, tiers, outcomes.

Counters live here; who has a value that can be read at any moment registers it with `gauge`. Nothing here ever holds
a user, a token or a text that a caller chose.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from data_contracts.policy import Drop
from data_contracts.vocabulary import Tier

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY = CollectorRegistry()

_SECONDS = (0.002, 0.004, 0.008, 0.015, 0.03, 0.05, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
REQUESTS = Counter("recs_requests", "Requests answered", ["route", "method", "status"], registry=REGISTRY)
SECONDS = Histogram("recs_request_seconds", "Time to answer a request", ["route"], buckets=_SECONDS, registry=REGISTRY)
_ANSWERS = Histogram("recs_answer_seconds", "Time to find what to show", ["tier"], buckets=_SECONDS, registry=REGISTRY)
_BY_TIER = Counter("recs_answers", "Answers, single ones and those of batches", ["tier"], registry=REGISTRY)
BATCHES = Histogram(
    "recs_batch_questions",
    "Questions that shared one look-up in ClickHouse",
    buckets=(1, 2, 5, 10, 20, 50, 100),
    registry=REGISTRY,
)
REFUSALS = Counter("recs_refusals", "Requests refused before they were answered", ["why"], registry=REGISTRY)
REPLACED = Counter("recs_static_instead", "Answers from memory in place of ClickHouse", ["why"], registry=REGISTRY)
_DROPS = Counter("recs_policy_drops", "Items of lists that a rule kept out of answers", ["rule"], registry=REGISTRY)
_DROPS_BY_RULE = {drop.value: _DROPS.labels(drop.name.lower()) for drop in Drop if drop is not Drop.NONE}

ANSWERS = {tier: _ANSWERS.labels(tier.value) for tier in Tier}
BY_TIER = {tier: _BY_TIER.labels(tier.value) for tier in Tier}
GRPC = "gRPC"  # where HTTP has a method
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", GRPC})
NO_ROUTE = "none"


class _Gauges(Collector):
    """Read when Prometheus asks. One name is one gauge: registered again, the newest reading counts."""

    def __init__(self) -> None:
        self.readings: dict[str, tuple[str, Callable[[], float | None]]] = {}

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for name, (about, read) in self.readings.items():
            value = read()
            if value is not None:
                yield GaugeMetricFamily(name, about, value=value)


_GAUGES = _Gauges()
REGISTRY.register(_GAUGES)


def gauge(name: str, about: str, read: Callable[[], float | None]) -> None:
    """Tell a value that is read at each scrape; None for none at the moment. `read` must be quick and not raise."""
    _GAUGES.readings[name] = (about, read)


def dropped(reasons: NDArray[np.uint8]) -> None:
    """Counts `Drop` values of a decision."""
    counts = np.bincount(reasons.ravel()).tolist()
    for drop, count in enumerate(counts):
        if drop != Drop.NONE and count:
            _DROPS_BY_RULE[drop].inc(count)


def exposition() -> bytes:
    return generate_latest(REGISTRY)


def answered(route: str | None, method: str, status: int, seconds: float) -> None:
    """`route` is the template of a path, never the path itself."""
    counter, histogram = _of_requests(route or NO_ROUTE, method if method in METHODS else "other", status)
    counter.inc()
    histogram.observe(seconds)


@cache
def _of_requests(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """Finding them by their labels takes longer than counting."""
    return REQUESTS.labels(route, method, str(status)), SECONDS.labels(route)
