"""What `recs bench lookup` found, as figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.bench.figure import Figure
from infra.bench.load import Load

_WAYS = {"rest": "", "grpc": " over gRPC"}
_DEADLINE_MS = 80

Loads = Mapping[str, Load]


@dataclass(frozen=True)
class Paused:
    load: Load
    seconds_to_recover: float


@dataclass(frozen=True)
class Found:
    """Loads by contender: at 100 and 200 requests/s, at 64 connections, at the obvious service's highest rate, of
    batches, at three times each one's own throughput, and with ClickHouse paused.
    """

    slow: Loads
    fast: Loads
    full: Loads
    sustained: float  # requests a second
    ended: Loads
    batches: Load
    crowded: Loads
    paused: Mapping[str, Paused]


def figures(found: Found) -> list[Figure]:
    return [
        *_at_ease(found.slow),
        *_p50_and_p99(found.fast, "at 200 requests/s"),
        *_flat_out(found.full),
        _where_the_obvious_ends(found),
        Figure("batch of 1,000 users, p50", round(found.batches.percentile(50), 1), "ms", goal=250),
        *(_crowded(found.crowded[name], found.full[name], way) for name, way in _WAYS.items()),
        *(figure for name, way in _WAYS.items() for figure in _paused(found.paused[name], way)),
        _errors(found),
    ]


def _at_ease(loads: Loads) -> Iterator[Figure]:
    at = "at 100 requests/s"
    rest, over_grpc, obvious = loads["rest"], loads["grpc"], loads["obvious"]
    yield Figure(f"p50 {at}", _ms(rest, 50), "ms", _ms(obvious, 50), goal=8)
    yield Figure(f"p99 {at}", _ms(rest, 99), "ms", _ms(obvious, 99), goal=30)
    yield Figure(
        f"p50 {at}, gRPC (reference: REST)",
        _ms(over_grpc, 50),
        "ms",
        _ms(rest, 50),
        goal=1.0,
        goal_on="ratio",
        note="its client does more of the work",
    )
    yield Figure(f"p99 {at}, gRPC (reference: REST)", _ms(over_grpc, 99), "ms", _ms(rest, 99))
    for name, way in _WAYS.items():
        yield Figure(
            f"CPU per request {at}{way}",
            round(loads[name].cpu_ms_per_request, 2),
            "ms",
            round(obvious.cpu_ms_per_request, 2),
            note="service and database; the obvious service reads lists alone",
        )
    degraded = max(loads[name].degraded_percent for name in _WAYS)
    yield Figure(f"answers below the personal tier {at}", round(degraded, 2), "%", goal=0)


def _p50_and_p99(loads: Loads, at: str) -> Iterator[Figure]:
    for name, way in _WAYS.items():
        for percent in (50, 99):
            yield Figure(f"p{percent} {at}{way}", _ms(loads[name], percent), "ms", _ms(loads["obvious"], percent))


def _flat_out(loads: Loads) -> Iterator[Figure]:
    rest, over_grpc, obvious = (round(loads[name].per_second) for name in ("rest", "grpc", "obvious"))
    at = "answers at 64 connections"
    rest_note, grpc_note = (f"{loads[name].refused} requests refused for want of room" for name in _WAYS)
    yield Figure(at, rest, "requests/s", obvious, goal=4.0, goal_on="ratio", better="higher", note=rest_note)
    name = f"{at}, gRPC (reference: REST)"
    yield Figure(name, over_grpc, "requests/s", rest, goal=1.0, goal_on="ratio", better="higher", note=grpc_note)
    for name, way in _WAYS.items():
        degraded = round(loads[name].degraded_percent, 2)
        yield Figure(f"answers below the personal tier at 64 connections{way}", degraded, "%")


def _where_the_obvious_ends(found: Found) -> Figure:
    ours, obvious = found.ended["rest"], found.ended["obvious"]
    name = f"p99 at {found.sustained:.0f} requests/s, which the obvious service just sustains"
    return Figure(name, _ms(ours, 99), "ms", _ms(obvious, 99), goal=0.5, goal_on="ratio")


def _crowded(crowded: Load, full: Load, way: str) -> Figure:
    asked = len(crowded.latencies_ms) + crowded.refused + crowded.errors
    return Figure(
        f"p99 of what is served at 3 times the capacity{way} (reference: at 64 connections)",
        _ms(crowded, 99),
        "ms",
        _ms(full, 99),
        goal=1.0,
        goal_on="ratio",
        note=f"{100 * len(crowded.latencies_ms) / max(1, asked):.0f} % served, the rest refused at once; "
        f"{crowded.per_second:.0f} answers/s",
    )


def _paused(paused: Paused, way: str) -> Iterator[Figure]:
    yield Figure(f"p99 while ClickHouse is paused{way}", _ms(paused.load, 99), "ms", goal=_DEADLINE_MS + 20)
    yield Figure(f"until it answers personally again{way}", round(paused.seconds_to_recover, 2), "s", goal=5)


def _errors(found: Found) -> Figure:
    paused = {name: one.load for name, one in found.paused.items()}
    calm = (found.slow, found.fast, found.ended, paused)
    errors = sum(load.errors + load.refused for loads in calm for name, load in loads.items() if name != "obvious")
    broken = sum(load.errors for loads in (found.full, found.crowded) for load in loads.values())
    return Figure("errors", errors + broken, "requests", goal=0, note="503 at full load is none")


def _ms(load: Load, percent: float) -> float:
    return round(load.percentile(percent), 2)
