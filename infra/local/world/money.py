"""Movements on customers' accounts: what they spend follows their tastes, what they earn their income."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from infra.local.world.arrays import Bools, Doubles, Floats, Ints, uniforms
from infra.local.world.clock import draw_seconds
from infra.local.world.crowd import Wants, draw_blocks, draw_topics, draw_visits
from infra.local.world.log import Rows
from infra.local.world.parameters import Parameters
from infra.local.world.people import EMPLOYMENTS
from infra.local.world.tecd import Scene

_INCOME = "mcc:income"
_NO_BRAND = -1


@dataclass(frozen=True)
class Movements(Rows):
    second: Ints
    amount: Doubles
    category: Ints  # position in `categories`
    brand: Ints  # id, or _NO_BRAND

    def by_time(self) -> "Movements":
        order = np.argsort(self.second, kind="stable")
        return Movements(**{name: values[order] for name, values in vars(self).items()})


def categories(params: Parameters) -> tuple[str, ...]:
    """Of all tastes, then everyday ones, then income."""
    tastes = [name for taste in params.tastes.values() for name in taste.mcc]
    return (*(f"mcc:{name}" for name in (*tastes, *params.everyday_mcc)), _INCOME)


def transactions(scene: Scene, wants: Wants, known: Floats, *, day: int) -> tuple[Ints, dict[str, list[Any]]]:
    """Seconds, in order, and the columns of `bank.transactions`."""
    rng = scene.plan.rng("transactions", day)
    moved = Movements.concat([_spent(rng, scene, wants, known, day=day), _earned(rng, scene, known, day=day)]).by_time()
    names = categories(scene.params)
    income = len(names) - 1
    codes = moved.category.tolist()
    return moved.second, {
        "user_id": scene.people.user_id[moved.user].tolist(),
        "amount": moved.amount.tolist(),
        "direction": ["in" if code == income else "out" for code in codes],
        "category": [names[code] for code in codes],
        "brand_id": [None if brand == _NO_BRAND else brand for brand in moved.brand.tolist()],
    }


def _spent(rng: np.random.Generator, scene: Scene, wants: Wants, known: Floats, *, day: int) -> Movements:
    people, params, brands = scene.people, scene.params, scene.universe.brands
    visits = draw_visits(rng, people, scene.plan, params, domain="transactions", day=day, share=known)
    n, user = len(visits), visits.user
    topic = draw_topics(rng, people, wants, user, params)
    brand = brands.pick(draw_blocks(rng, people, user, topic, params), rng.random(n, dtype=np.float32))
    everyday = rng.random(n) < params.money.everyday
    nameless = everyday | (rng.random(n) < params.money.nameless)
    return Movements(
        user=user,
        second=visits.second,
        amount=params.money.spent.draw(people.income[user], people.thrift[user], rng.standard_normal(n)),
        category=_category(rng, params, topic, everyday),
        brand=np.where(nameless, _NO_BRAND, brands.brand_id[brand]),
    )


def _category(rng: np.random.Generator, params: Parameters, topic: Ints, everyday: Bools) -> Ints:
    sizes = np.array([len(taste.mcc) for taste in params.tastes.values()])
    begin = np.cumsum(sizes) - sizes
    of_taste = begin[topic] + (rng.random(len(topic)) * sizes[topic]).astype(np.int64)
    return np.where(everyday, sizes.sum() + rng.integers(0, len(params.everyday_mcc), len(topic)), of_taste)


def _earned(rng: np.random.Generator, scene: Scene, known: Floats, *, day: int) -> Movements:
    """Once a month, on one of the two days usual for the employment."""
    people = scene.people
    second_half = uniforms(people.user_id, 1) < 0.5
    today = scene.plan.date(day).day
    due = np.zeros(len(people), dtype=bool)
    for kind, days in scene.params.money.pay_days.items():
        due |= (people.employment == EMPLOYMENTS.index(kind)) & (np.where(second_half, days[1], days[0]) == today)
    user = np.flatnonzero(due & (known > 0))
    n = len(user)
    return Movements(
        user=user,
        second=draw_seconds(rng, n),
        amount=scene.params.money.earned.draw(people.income[user], people.thrift[user], rng.standard_normal(n)),
        category=np.full(n, len(categories(scene.params)) - 1),
        brand=np.full(n, _NO_BRAND),
    )
