"""What a night of a size needs: arithmetic from measured unit costs, pure. The command is infra/plan.py.

Belongs here: the model and its units. Does not: measuring (infra/bench), prices (prices.yaml), showing.
Core seconds are of the machine that the benches ran on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_contracts.audience_pool import FEWEST, SHARE

# The world of bench `night-users`, and what bench `score` did for each of its users.
WORLD_EVENTS_PER_DAY, WORLD_PRODUCTS, SCORED_CANDIDATES, SCORED_ITEMS = 2.84, 58, 100, 1_000
BENCH_CORES = 2
# Exact top 100 of 1,000 items of 64 dimensions, two cores (DESIGN, measured facts): the slowest seen.
_NEIGHBOURS_PER_SECOND = 169_000 * 1_000
# Measured in the finished demo lake of 5,000 users, Delta and Parquet as they lie there; bytes.
EVENT_BYTES = 13.1
STATE_BYTES = 488 + 1_472 + 489 + 73  # features, behaviour, history, vectors of a user and as-of
SNAPSHOT_BYTES = 143 + 14
CLICKHOUSE_BYTES = 89
# Of a product's best users, each: random ids do not compress.
_POOL_BYTES = 10
_LARGEST_USER_BYTES = 16_000  # 200 items of history
_PARTITION_BYTES = 128e6
_USERS_OF_A_PARTITION = 100_000  # what the benches' tasks hold at 370 MB


@dataclass(frozen=True)
class Load:
    """`events_per_day`: of all users together. `items` are products, every one scored; `offers` are looked through."""

    users: float
    items: int
    offers: int
    events_per_day: float
    history_days: int = 400


@dataclass(frozen=True)
class Units:
    """Measured: core seconds of a whole night for a user of the benches' world, of one ranked row, and seconds that
    ClickHouse takes to load and to verify a million users.
    """

    night_user: float
    ranked_row: float
    load_million: float
    verify_million: float
    worker_mb: float


@dataclass(frozen=True)
class Assumptions:
    """What no bench here can tell."""

    hours: float = 4.0
    efficiency: float = 0.6  # of a cluster's cores beside one machine's: network, stragglers, waiting between jobs
    start_minutes: float = 15.0
    gb_per_core: float = 4.0
    cores_per_host: int = 8
    snapshots_kept: int = 14
    states_kept: int = 8  # as-ofs of features that the training windows need
    shuffled_states: float = 2.0  # times that a user's state crosses the network: joins by user, writing by partition


@dataclass(frozen=True)
class Need:
    core_hours: Mapping[str, float]
    cores: int
    hosts: int
    memory_gb: float
    hours: float
    shuffle_gb: float
    partitions: int
    skew: float
    largest_partition_mb: float
    clickhouse_seconds: float
    clickhouse_gb: float
    lake_gb: float
    monthly: Mapping[str, float]


def units_of(results: Mapping[str, Mapping[str, float]]) -> Units:
    """From bench name -> figure name -> value. Raises KeyError for a figure that is not there."""
    night, score, publish = (results[name] for name in ("night-users", "score", "publish"))
    scored = score["users scored, Delta to Parquet"]
    return Units(
        night_user=night["night of 1,000,000 users, seconds per 10,000"] * BENCH_CORES / 10_000,
        ranked_row=BENCH_CORES / (scored * SCORED_CANDIDATES),
        load_million=publish["1M users × 20 products and 20 offers, loaded and merged"],
        verify_million=publish["their counts and checksums verified"],
        worker_mb=night["largest worker, 1,000,000 users"],
    )


def core_seconds(load: Load, units: Units) -> dict[str, float]:
    """By part of the night. The bench's night less its ranking is what ingest, features, folding in and sealing cost
    a user with the world's events; it grows with users or with events, whichever grows more.
    """
    ranked = units.ranked_row * (WORLD_PRODUCTS + SCORED_CANDIDATES)
    rest = units.night_user - ranked
    busy = max(load.users, load.events_per_day / WORLD_EVENTS_PER_DAY)
    return {
        "ingest, features, folding in, sealing": rest * busy,
        "candidates among the offers": load.users * load.offers * BENCH_CORES / _NEIGHBOURS_PER_SECOND,
        "ranking products and candidates": load.users * units.ranked_row * (load.items + SCORED_CANDIDATES),
    }


def need_of(load: Load, units: Units, given: Assumptions, prices: Mapping[str, Any], *, seed: int = 7) -> Need:
    """Cores that finish within `given.hours`, and what follows from them."""
    seconds = core_seconds(load, units)
    working_hours = given.hours - given.start_minutes / 60
    cores_wanted = sum(seconds.values()) / 3600 / given.efficiency / working_hours
    hosts = max(1, math.ceil(cores_wanted / given.cores_per_host))
    cores = hosts * given.cores_per_host
    shuffle = load.users * STATE_BYTES * given.shuffled_states + load.events_per_day * EVENT_BYTES
    partitions = partitions_of(load, shuffle, cores)
    skew = skew_of(load, partitions, seed=seed)
    lake = lake_bytes(load, given)
    hours = sum(seconds.values()) / 3600 / given.efficiency / cores + given.start_minutes / 60
    memory = cores * given.gb_per_core
    million = load.users / 1e6
    return Need(
        core_hours={part: value / 3600 for part, value in seconds.items()},
        cores=cores,
        hosts=hosts,
        memory_gb=memory,
        hours=hours,
        shuffle_gb=shuffle / 1e9,
        partitions=partitions,
        skew=skew,
        largest_partition_mb=skew * shuffle / partitions / 1e6,
        clickhouse_seconds=million * (units.load_million + units.verify_million),
        clickhouse_gb=(load.users * CLICKHOUSE_BYTES + pool_bytes(load)) / 1e9,
        lake_gb=lake / 1e9,
        monthly=monthly_costs(cores=cores, memory_gb=memory, hours=hours, shuffle=shuffle, lake=lake, prices=prices),
    )


def partitions_of(load: Load, shuffle: float, cores: int) -> int:
    """As many as keep a partition small and a task's users few, in whole waves of three or more over the cores."""
    fewest = max(shuffle / _PARTITION_BYTES, load.users / _USERS_OF_A_PARTITION, 3 * cores)
    return math.ceil(fewest / cores) * cores


def skew_of(load: Load, partitions: int, *, seed: int) -> float:
    """Largest partition beside the mean, of users hashed to partitions: simulated, user by user, with a long tail
    (log-normal, sigma 1.5) of bytes a user, cut off where the histories are.
    """
    draw, sizes = np.random.default_rng(seed), np.zeros(partitions)
    left = int(load.users)
    mean = STATE_BYTES
    while left:
        count = min(left, 4_000_000)
        weights = np.minimum(draw.lognormal(0, 1.5, count) / math.exp(1.5**2 / 2) * mean, _LARGEST_USER_BYTES)
        sizes += np.bincount(draw.integers(0, partitions, count), weights=weights, minlength=partitions)
        left -= count
    return float(sizes.max() / sizes.mean())


def lake_bytes(load: Load, given: Assumptions) -> float:
    """Events are kept twice, as delivered and in silver."""
    events = load.events_per_day * load.history_days * EVENT_BYTES * 2
    snapshot = load.users * SNAPSHOT_BYTES + pool_bytes(load)
    return events + load.users * STATE_BYTES * given.states_kept + snapshot * given.snapshots_kept


def pool_bytes(load: Load) -> float:
    """What a snapshot keeps for audiences."""
    return load.items * min(load.users, max(load.users / SHARE, FEWEST)) * _POOL_BYTES


def monthly_costs(
    *, cores: int, memory_gb: float, hours: float, shuffle: float, lake: float, prices: Mapping[str, Any]
) -> dict[str, float]:
    """Roubles for 30 nights; the cluster's disks, three times the shuffle, live as long as the cluster."""
    nightly = hours * (cores * prices["core_hour"] + memory_gb * prices["gb_memory_hour"])
    disks = 3 * shuffle / 1e9 * prices["ssd_gb_month"] * hours / 24
    return {
        "cluster": 30 * nightly,
        "its disks": disks,
        "lake in Object Storage": lake / 1e9 * prices["storage_gb_month"],
    }
