"""Small offer behaviour with structure: users of one taste meet items of one half, and come back to them."""

import numpy as np

from data_contracts.vocabulary import Action
from spark_jobs.features.history import ACTION_CODES, MICROSECONDS_PER_HOUR, Events

N_ITEMS = 40
DAY = 24 * MICROSECONDS_PER_HOUR


def offer_events(*, users: int = 60, days: int = 4, seed: int = 3, per_day: int = 5) -> Events:
    """Users 1.. meet items of their half, the lower codes more often; every fifth event is a click."""
    draws = np.random.default_rng(seed)
    n = users * days * per_day
    user = np.repeat(np.arange(1, users + 1), days * per_day)
    half = N_ITEMS // 2
    item = (user % 2) * half + np.minimum(draws.geometric(0.2, n) - 1, half - 1)
    action = np.where(np.arange(n) % 5 == 0, ACTION_CODES[Action.CLICK], ACTION_CODES[Action.VIEW])
    return Events(
        user_id=user.astype(np.int64),
        item_code=item.astype(np.int32),
        action=action.astype(np.int8),
        time=draws.integers(0, days * DAY, n),
        weight=np.ones(n, dtype=np.float32),
    )


def shuffled(events: Events, *, seed: int = 1) -> Events:
    return events.take(np.random.default_rng(seed).permutation(len(events)))
