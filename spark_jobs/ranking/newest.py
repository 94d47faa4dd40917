"""What a trained ranker, and another beside it, say of the newest cases: the arrays that promotion is judged by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.ranking.boosting import uniform
from spark_jobs.ranking.kernel import F32, I64

F64 = NDArray[np.float64]
_HALVES_SEED = 20240229


@dataclass(frozen=True)
class Fold:
    """Cases: user_ids (n,), labels (n,) bool, families (n,) numbers in `names`."""

    user_ids: I64
    labels: NDArray[np.bool_]
    families: I64
    names: Sequence[str]


@dataclass(frozen=True)
class Judged:
    """Log odds (n,) of the fold's cases by the ranker that was trained, and by the one beside it, if any."""

    fold: Fold
    own: F64
    beside: F64 | None = None


def is_in_first(user_ids: I64) -> NDArray[np.bool_]:
    """Which half each user is in, whatever the night or seed."""
    return np.asarray(uniform(user_ids, np.zeros_like(user_ids), _HALVES_SEED) < 0.5)


def log_odds_of(probability: F32) -> F64:
    """Natural; certainty is kept finite."""
    p = np.clip(probability.astype(np.float64), 1e-12, 1 - 1e-9)
    return np.asarray(np.log(p) - np.log1p(-p))
