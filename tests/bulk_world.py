"""Users, lists and events for tests of everybody's lists."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from api.store import Lists, UserState
from data_contracts.overlay.rows import micros, row_of
from data_contracts.vocabulary import Variant
from tests.day_world import CODES, NOW, PRODUCTS, ranked

USERS = 200


def some_lists(draw: np.random.Generator) -> Lists:
    items = draw.permutation(list(PRODUCTS))[: draw.integers(0, 8)].tolist()
    offers = draw.permutation([item for item in CODES if item not in PRODUCTS])[: draw.integers(0, 5)].tolist()
    by_uplift = {Variant.UPLIFT: Lists(ranked(*items[::-1]), ranked())} if draw.random() < 0.5 else {}
    return Lists(ranked(*items), ranked(*offers), by_uplift)


def some_states(draw: np.random.Generator) -> Mapping[int, UserState]:
    return {
        user_id: UserState(
            segment=int(draw.integers(0, 4)),
            holdings=draw.permutation(len(PRODUCTS))[: draw.integers(0, 3)].tolist(),
            birth_year=int(draw.integers(1950, 2015)),
            consents=int(draw.integers(0, 16)) | 16,
        )
        if draw.random() < 0.9
        else UserState()
        for user_id in range(0, 3 * USERS, 3)
    }


def some_events(draw: np.random.Generator) -> Iterator[Any]:
    kinds = ("click", "dismissed", "purchased", "opted_out", "complained")
    for number in range(80):
        event = {
            "event_id": f"e{number}",
            "user_id": 3 * int(draw.integers(USERS)),
            "event_time": micros(NOW) - int(draw.integers(1, 36)) * 3_600_000_000,
            "event_type": str(draw.choice(("clicked", *kinds[1:]))),
            "product_id": str(draw.choice(list(CODES))),
            "channel": str(draw.choice(["web", "crm"])),
            "rec_id": "",
        }
        yield row_of("recommendation.feedback", event, arrived=micros(NOW), skew=0)
