"""What a block of people hold, from before the world began, and how long they will keep it."""

from dataclasses import dataclass, field

import numpy as np

from data_contracts.policy import CompiledPolicy, Drop
from infra.local.world.arrays import Bools, Floats, Ints, SmallInts, bools
from infra.local.world.log import SpellRows
from infra.local.world.offering import Offering, causes, choice, families_open, standing
from infra.local.world.people import People
from infra.local.world.plan import Plan

NEVER = np.int16(32767)  # not closed yet
NONE = np.int16(-32768)  # not held


@dataclass(frozen=True)
class Portfolio:
    """`opened_on` and `closes_on` (n, p) in days; a product is held where `opened_on` is not NONE. Changed in place.

    `past` gathers the spells that have ended.
    """

    opened_on: SmallInts
    closes_on: SmallInts
    close: Floats
    past: list[SpellRows] = field(default_factory=list)

    @property
    def held(self) -> Bools:
        return bools(self.opened_on != NONE)

    def open(self, rows: Ints, products: Ints, *, day: int, rng: np.random.Generator) -> None:
        self.opened_on[rows, products] = day
        keeps = np.ceil(np.log(rng.random(len(rows)) + 1e-12) / np.log1p(-self.close[products]))
        self.closes_on[rows, products] = np.minimum(day + np.maximum(keeps, 1), NEVER - 1)

    def close_due(self, *, day: int) -> tuple[Ints, Ints]:
        """End what ends today; returns whose and what."""
        rows, products = np.nonzero(self.closes_on == day)
        self._end(rows, products, day=day)
        return rows, products

    def _end(self, rows: Ints, products: Ints, *, day: int) -> None:
        opened = self.opened_on[rows, products]
        closed = np.full(len(rows), day, dtype=np.int16)
        self.past.append(SpellRows(user=rows, product=products.astype(np.int16), opened=opened, closed=closed))
        self.opened_on[rows, products] = NONE
        self.closes_on[rows, products] = NEVER

    def spells(self) -> SpellRows:
        """All times of holding, ended or not, by user, product and day of opening."""
        rows, products = np.nonzero(self.held)
        opened = self.opened_on[rows, products]
        now = SpellRows(rows, products.astype(np.int16), opened, np.full(len(rows), NEVER, dtype=np.int16))
        every = SpellRows.concat([*self.past, now])
        order = np.lexsort((every.opened, every.product, every.user))
        return SpellRows(every.user[order], every.product[order], every.opened[order], every.closed[order])


def first_portfolio(rng: np.random.Generator, people: People, offering: Offering, plan: Plan) -> Portfolio:
    """Holdings of those who were customers before the first day: the same causes as openings, and within the rules."""
    features = causes(people, offering.params)
    held = _first_held(rng, people, offering, plan, features)
    shape = held.shape
    tenure = -people.joined[:, None].astype(np.float64)
    opened = -np.minimum(1 + np.floor(rng.exponential(offering.params.past.days, shape)), np.maximum(tenure, 1))
    close = np.array([family.close for family in offering.params.families.values()], dtype=np.float32)
    portfolio = Portfolio(
        opened_on=np.where(held, opened, NONE).astype(np.int16),
        closes_on=np.full(shape, NEVER, dtype=np.int16),
        close=close[offering.family],
    )
    rows, products = np.nonzero(held)
    keeps = np.ceil(np.log(rng.random(len(rows)) + 1e-12) / np.log1p(-portfolio.close[products]))
    portfolio.closes_on[rows, products] = np.minimum(np.maximum(keeps, 1), NEVER - 1)
    _add_past(rng, people, portfolio, held, share=offering.params.past.given_up)
    return portfolio


def _first_held(rng: np.random.Generator, people: People, offering: Offering, plan: Plan, features: Floats) -> Bools:
    nothing = np.zeros((len(people), len(offering.products)), dtype=bool)
    once_sold = np.array([p.on_sale_from is None or p.on_sale_from < plan.first_day for p in offering.products])
    old = (people.customer & (people.joined < 0))[:, None]
    policy = offering.policy_of_old(plan.first_day)
    drops = standing(people, policy, held=nothing, day=0)
    may = np.isin(drops, (Drop.NONE, Drop.MISSING_PREREQUISITE)) & once_sold & old
    share = np.array([family.held for family in offering.params.families.values()])
    logit = np.log(share / (1 - share)) + features @ offering.family_effects
    has = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))) & families_open(offering, may)
    cdf = choice(features, offering, open_to=may, held=nothing)
    held = nothing.copy()
    for family in range(offering.families):
        columns = np.flatnonzero(offering.family == family)
        within = np.cumsum(cdf[:, columns], axis=1)
        picked = np.minimum((rng.random(len(people))[:, None] > within).sum(axis=1), len(columns) - 1)
        held[np.arange(len(people)), columns[picked]] = has[:, family]
    held &= may
    first = offering.product_number(offering.params.process.first_product)
    held[:, first] |= old[:, 0] & (rng.random(len(people)) < offering.params.past.first_product)
    return _within_rules(held, policy)


def _within_rules(held: Bools, policy: CompiledPolicy) -> Bools:
    """Take away, of two that forbid each other, the later in the catalogue; then what misses its prerequisite."""
    held = held & (held.astype(np.float32) @ np.triu(policy.prohibited, 1) == 0)
    for _ in range(2):
        held = held & ((held.astype(np.float32) @ policy.opens > 0) | ~policy.has_prerequisite)
    return bools(held)


def _add_past(rng: np.random.Generator, people: People, portfolio: Portfolio, held: Bools, *, share: float) -> None:
    """One product that was given up long ago, for some."""
    rows = np.flatnonzero((rng.random(len(people)) < share) & people.customer & (people.joined < -200))
    products = rng.integers(0, held.shape[1], len(rows))
    free = ~held[rows, products]
    rows, products = rows[free], products[free]
    opened = (people.joined[rows] * rng.uniform(0.6, 1.0, len(rows))).astype(np.int16)
    closed = (opened * rng.uniform(0.1, 0.9, len(rows))).astype(np.int16)
    portfolio.past.append(SpellRows(rows, products.astype(np.int16), opened, np.minimum(closed, -1).astype(np.int16)))
