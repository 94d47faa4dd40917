"""Times of day, as seconds since local midnight."""

import numpy as np

from infra.local.world.arrays import Ints
from infra.local.world.parameters import parameters

LAST_SECOND = 86_399


def draw_seconds(rng: np.random.Generator, n: int) -> Ints:
    """Moments of a day, more of them when people are awake."""
    weights = np.array(parameters().behaviour.hours)
    cdf = np.cumsum(weights / weights.sum())
    draw = rng.random(n)
    hour = np.minimum(np.searchsorted(cdf, draw, side="right"), 23)
    return hour * 3600 + rng.integers(0, 3600, n)


def later(rng: np.random.Generator, seconds: Ints, *, within: int) -> Ints:
    """A little later the same day."""
    return np.minimum(seconds + 1 + rng.integers(0, within, len(seconds)), LAST_SECOND)
