"""Boosted trees as values: trained on a matrix, to bytes and back, and the sampling of negatives before."""

from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from spark_jobs.ranking.kernel import F32, I64

U64 = NDArray[np.uint64]


@dataclass(frozen=True)
class BoosterParams:
    """Sizes of a booster. Slow-learning and strongly regularised, since positives are few."""

    rounds: int = 200
    depth: int = 3
    learning_rate: float = 0.05
    min_child_weight: float = 5.0
    column_share: float = 0.5
    row_share: float = 0.8
    l2: float = 5.0


def train_booster(
    rows: F32,
    labels: F32,
    *,
    names: tuple[str, ...],
    params: BoosterParams,
    seed: int,
    threads: int,
    objective: str = "binary:logistic",
    start: F32 | None = None,
) -> xgb.Booster:
    """The same rows, seed and number of threads give the same booster, bit by bit. start: margins to go on from."""
    data = xgb.QuantileDMatrix(rows, label=labels, base_margin=start, feature_names=list(names), nthread=threads)
    settings = {
        "objective": objective,
        "tree_method": "hist",
        "max_depth": params.depth,
        "eta": params.learning_rate,
        "min_child_weight": params.min_child_weight,
        "colsample_bytree": params.column_share,
        "subsample": params.row_share,
        "lambda": params.l2,
        "seed": seed,
        "nthread": threads,
    }
    return xgb.train(settings, data, num_boost_round=params.rounds)


def booster_bytes(booster: xgb.Booster) -> bytes:
    return bytes(booster.save_raw(raw_format="ubj"))


def booster_from(content: bytes, *, threads: int = 1) -> xgb.Booster:
    """A booster that predicts with so many threads: a Spark task has one core."""
    booster = xgb.Booster(model_file=bytearray(content))
    booster.set_param({"nthread": threads})
    return booster


def importance(booster: xgb.Booster) -> dict[str, float]:
    """Share of all gain, by feature; what no tree uses is left out."""
    gain = {str(name): float(np.sum(value)) for name, value in booster.get_score(importance_type="total_gain").items()}
    return {name: value / sum(gain.values()) for name, value in gain.items()}


def uniform(users: I64, items: I64, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each (user, item) that depends on nothing else: splitmix64's finaliser over the three.

    So a sample is the same however the data is partitioned or ordered.
    """
    with np.errstate(over="ignore"):
        mixed = _mix(users.astype(np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15))
        mixed = _mix(mixed ^ _mix(items.astype(np.uint64) + np.uint64(0x632BE59BD9B4E019)))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: U64) -> U64:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
