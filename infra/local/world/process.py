"""How people come to open products: day by day, each user towards each family is idle, in intent or waiting.

    idle    -> intent    by itself, or woken by a campaign; the user then has a wish, one product of the family
    idle    -> waiting   an application out of nothing
    intent  -> waiting   an application for the wish       intent -> idle   the intent passes
    waiting -> idle      the bank decides: approved and opened, or declined

Who opened something of a family rests from that family for `review_days`. The same arrays make the history and,
from the state on D, the truth.
"""

from dataclasses import dataclass

import numpy as np

from data_contracts.vocabulary import ProductEvent
from infra.local.world.arrays import Bools, Floats, Ints, SmallInts
from infra.local.world.campaigns import campaign_rows, draw_contacts
from infra.local.world.clock import draw_seconds, later
from infra.local.world.log import DayLog, IntentRows, ProductRows, SpellRows
from infra.local.world.minds import IDLE, INTENT, WAITING, Minds, after_review, first_minds, wish_anew
from infra.local.world.offering import Offering
from infra.local.world.parameters import Parameters
from infra.local.world.people import People
from infra.local.world.plan import Plan
from infra.local.world.portfolio import Portfolio, first_portfolio
from infra.local.world.review import Review, hold_review

_KINDS = {kind: number for number, kind in enumerate(ProductEvent)}


@dataclass(frozen=True)
class Hazards:
    """Probabilities a day by family, the same for everybody."""

    apply: Floats
    apply_idle: Floats
    leave: Floats
    decide: float

    @staticmethod
    def of(params: Parameters) -> "Hazards":
        families = params.families.values()
        return Hazards(
            apply=np.array([family.apply for family in families], dtype=np.float32),
            apply_idle=np.array([family.apply * family.idle for family in families], dtype=np.float32),
            leave=np.array([1 / family.days for family in families], dtype=np.float32),
            decide=params.process.decide,
        )


@dataclass(frozen=True)
class Block:
    """All that a day's step needs besides the stream of random numbers."""

    people: People
    offering: Offering
    plan: Plan
    hazards: Hazards
    minds: Minds
    portfolio: Portfolio


def step(rng: np.random.Generator, block: Block, review: Review, *, day: int) -> DayLog:
    """Live one day; rows of the log count from the block's first user."""
    minds, hazards = block.minds, block.hazards
    before = minds.state.copy()
    can = review.open_to & (minds.free_from <= day)
    draw = rng.random(before.shape, dtype=np.float32)
    contacts = draw_contacts(rng, minds, block.offering, review, day=day)
    idle, intent, waiting = before == IDLE, before == INTENT, before == WAITING
    onset = idle & ((draw < review.intent) | contacts.woken)
    applied = idle & ~onset & can & (draw < review.intent + hazards.apply_idle)
    wish_anew(rng, minds, onset & ~contacts.woken | applied, block.offering, review)
    np.copyto(minds.wish, minds.shown_product, where=onset & contacts.woken)
    applied |= intent & can & (draw < hazards.apply)
    gone = intent & (draw >= 1 - hazards.leave)
    decided = waiting & (draw < hazards.decide)
    approved = decided & (draw < hazards.decide * review.approve)
    minds.state[onset] = INTENT
    minds.state[applied] = WAITING
    minds.state[gone | decided] = IDLE
    minds.free_from[approved] = day + block.plan.review_days
    products = _product_rows(rng, block, applied=applied, approved=approved, declined=decided & ~approved, day=day)
    campaigns = campaign_rows(rng, minds, contacts, products, people=block.people, offering=block.offering, day=day)
    rows, families = np.nonzero(~idle | (minds.state != IDLE))
    intents = IntentRows(rows, families.astype(np.int8), minds.wish[rows, families])
    return DayLog(intents, products, campaigns)


def _product_rows(
    rng: np.random.Generator, block: Block, *, applied: Bools, approved: Bools, declined: Bools, day: int
) -> ProductRows:
    rows, families = np.nonzero(approved)
    opened = block.minds.wish[rows, families].astype(np.int64)
    block.portfolio.open(rows, opened, day=day, rng=rng)
    seconds = draw_seconds(rng, len(rows))
    joiners = np.flatnonzero(block.people.customer & (block.people.joined == day))
    parts = [
        _steps(rng, block.minds, applied, ProductEvent.APPLIED),
        product_rows(rows, opened, ProductEvent.APPROVED, seconds),
        product_rows(rows, opened, ProductEvent.OPENED, later(rng, seconds, within=1800)),
        _steps(rng, block.minds, declined, ProductEvent.DECLINED),
        *_first_products(rng, block, joiners, day=day),
    ]
    return ProductRows.concat(parts)


def _steps(rng: np.random.Generator, minds: Minds, where: Bools, kind: ProductEvent) -> ProductRows:
    rows, families = np.nonzero(where)
    return product_rows(rows, minds.wish[rows, families], kind, draw_seconds(rng, len(rows)))


def _first_products(rng: np.random.Generator, block: Block, rows: Ints, *, day: int) -> list[ProductRows]:
    """New customers come with a product."""
    first = block.offering.product_number(block.offering.params.process.first_product)
    products = np.full(len(rows), first)
    block.portfolio.open(rows, products, day=day, rng=rng)
    block.minds.free_from[rows, block.offering.family[first]] = day + block.plan.review_days
    parts, seconds = [], draw_seconds(rng, len(rows))
    for kind in (ProductEvent.APPLIED, ProductEvent.APPROVED, ProductEvent.OPENED):
        parts.append(product_rows(rows, products, kind, seconds))
        seconds = later(rng, seconds, within=900)
    return parts


def product_rows(rows: Ints, products: Ints | SmallInts, kind: ProductEvent, seconds: Ints) -> ProductRows:
    kinds = np.full(len(rows), _KINDS[kind], dtype=np.int8)
    return ProductRows(rows, products.astype(np.int16), kinds, seconds)


@dataclass(frozen=True)
class BlockHistory:
    """A block's days, its times of holding, and its state on the day `until`, just reviewed."""

    logs: tuple[DayLog, ...]
    spells: SpellRows
    minds: Minds
    review: Review


def live(people: People, offering: Offering, plan: Plan, *, number: int, until: int) -> BlockHistory:
    """Simulate a block of people from day 0 up to the start of day `until`, which must be a review day.

    `number` names the block's random streams. A shorter run is the beginning of a longer one.
    """
    rng = plan.rng("first holdings", number)
    portfolio = first_portfolio(rng, people, offering, plan)
    review = hold_review(people, offering, held=portfolio.held, plan=plan, day=0)
    minds = first_minds(rng, offering, review)
    block = Block(people, offering, plan, Hazards.of(offering.params), minds, portfolio)
    logs = []
    starts = plan.review_starts()
    for day in range(until):
        rng = plan.rng("process", number, day)
        extra = []
        if day and day in starts:
            review, lapsed = _next_review(rng, block, day=day)
            extra.append(lapsed)
        rows, products = portfolio.close_due(day=day)
        extra.append(product_rows(rows, products, ProductEvent.CLOSED, draw_seconds(rng, len(rows))))
        log = step(rng, block, review, day=day)
        logs.append(DayLog(log.intents, ProductRows.concat([*extra, log.products]), log.campaigns))
    review, _ = _next_review(plan.rng("process", number, until), block, day=until)
    return BlockHistory(tuple(logs), portfolio.spells(), minds, review)


def _next_review(rng: np.random.Generator, block: Block, *, day: int) -> tuple[Review, ProductRows]:
    """A new review, and the applications it ended."""
    review = hold_review(block.people, block.offering, held=block.portfolio.held, plan=block.plan, day=day)
    rows, products = after_review(rng, block.minds, block.offering, review)
    return review, product_rows(rows, products, ProductEvent.DECLINED, draw_seconds(rng, len(rows)))
