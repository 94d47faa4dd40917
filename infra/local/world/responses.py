"""What users do with the items they are shown: look, click, go on, like, put into the basket."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_contracts.vocabulary import Domain
from infra.local.world.arrays import Bytes, Floats, Ints, floats
from infra.local.world.clock import LAST_SECOND
from infra.local.world.crowd import Choices, Visits
from infra.local.world.parameters import Parameters
from infra.local.world.parquet import large
from infra.local.world.people import People
from infra.local.world.universe import Shelf

VIEW, CLICK, OUT, LIKE, CART, ORDER = range(6)


@dataclass(frozen=True)
class Acts:
    """A day's rows in order of time. `action` counts in VIEW .. ORDER."""

    user: Ints
    item: Ints
    second: Ints
    action: Bytes

    def __len__(self) -> int:
        """How many rows."""
        return len(self.user)


def respond(
    rng: np.random.Generator,
    people: People,
    visits: Visits,
    choices: Choices,
    *,
    shelf: Shelf,
    params: Parameters,
) -> Acts:
    """Every visit is a view; some views lead to more."""
    response = params.response
    click = response.offers_click if shelf.domain == Domain.OFFERS else response.click
    suits = _suits(people, visits.user, choices, shelf, params)
    draw = rng.random(len(visits), dtype=np.float32)
    clicked = draw < 1 / (1 + np.exp(-(click + suits)))
    every = np.arange(len(visits))
    clicks = every[clicked]
    outs = clicks[rng.random(len(clicks)) < response.out]
    likes = every[rng.random(len(visits)) < params.behaviour.like * np.exp(np.clip(suits, -2, 2))]
    parts = [(every, VIEW, 0), (clicks, CLICK, 6), (outs, OUT, 25), (likes, LIKE, 12)]
    if shelf.domain == Domain.RETAIL:
        odds = np.log(response.cart / (1 - response.cart)) + suits
        carts = every[rng.random(len(visits)) < 1 / (1 + np.exp(-odds))]
        parts += [(carts, CART, 15), (carts[rng.random(len(carts)) < response.order], ORDER, 300)]
    return _in_time(visits, choices, parts)


def _in_time(visits: Visits, choices: Choices, parts: list[tuple[Ints, int, int]]) -> Acts:
    """Rows of (which visits, action, seconds after the view) in order of time."""
    source = np.concatenate([part for part, _, _ in parts])
    action = np.concatenate([np.full(len(part), code, dtype=np.int8) for part, code, _ in parts])
    delay = np.concatenate([np.full(len(part), seconds) for part, _, seconds in parts])
    second = np.minimum(visits.second[source] + delay, LAST_SECOND)
    order = np.argsort(second, kind="stable")
    source = source[order]
    return Acts(visits.user[source], choices.item[source], second[order], action[order])


def _suits(people: People, user: Ints, choices: Choices, shelf: Shelf, params: Parameters) -> Floats:
    """Log-odds by which an item is more to the user's liking than the average item."""
    response = params.response
    topic = choices.topic
    below = np.where(topic > 0, people.taste_cdf[user, np.maximum(topic - 1, 0)], 0)
    share = people.taste_cdf[user, topic] - below
    ratio = np.log(np.maximum(share, 1e-3) * people.taste_cdf.shape[1])
    suits = response.taste * ratio + response.cluster * choices.own_style + response.favourite * choices.favourite
    return floats(suits + shelf.appeal[choices.item])


def shop_words(*, day: int) -> pa.Array:
    """Both spellings of the basket are about, by turns."""
    return large("view", "click", "clickout", "like", "added-to-cart" if day % 2 else "added_to_cart", "order")


def offer_words(*, old: bool) -> pa.Array:
    """The first generation of names, and the second."""
    if old:
        return large("seen", "offer_shown", "redirect_to_partner", "like")
    return large("view", "click", "clickout", "like")
