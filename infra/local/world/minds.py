"""Where people stand towards each family of products, and how a wish for one product of it arises."""

from dataclasses import dataclass

import numpy as np

from infra.local.world.arrays import Bools, Bytes, Ints, SmallInts, small
from infra.local.world.offering import Offering
from infra.local.world.portfolio import NONE
from infra.local.world.review import Review

IDLE, INTENT, WAITING = 0, 1, 2


@dataclass(frozen=True)
class Minds:
    """Where a block of people stands towards each family (n, families). Changed in place, day by day.

    `wish` is a product, meaningless while idle; `free_from` the day from which the family may be applied for again;
    `shown_on` and `shown_product` the last contact of a campaign.
    """

    state: Bytes
    wish: SmallInts
    free_from: SmallInts
    shown_on: SmallInts
    shown_product: SmallInts


def first_minds(rng: np.random.Generator, offering: Offering, review: Review) -> Minds:
    """As many in intent as there would be had the process run for ever."""
    days = np.array([family.days for family in offering.params.families.values()])
    share = review.intent * days / (1 + review.intent * days)
    minds = Minds(
        state=(rng.random(share.shape) < share).astype(np.int8),
        wish=np.zeros(share.shape, dtype=np.int16),
        free_from=np.full(share.shape, -1, dtype=np.int16),
        shown_on=np.full(share.shape, NONE, dtype=np.int16),
        shown_product=np.zeros(share.shape, dtype=np.int16),
    )
    wish_anew(rng, minds, minds.state == INTENT, offering, review)
    return minds


def after_review(rng: np.random.Generator, minds: Minds, offering: Offering, review: Review) -> tuple[Ints, Ints]:
    """Fit minds to new permissions: forbidden applications lapse (returned as rows, products), wishes are renewed."""
    wish = minds.wish.astype(np.int64)
    allowed = np.take_along_axis(review.permitted, wish, axis=1)
    lapsed = (minds.state == WAITING) & ~allowed
    rows, families = np.nonzero(lapsed)
    products = wish[rows, families]
    minds.state[lapsed] = IDLE
    wish_anew(rng, minds, (minds.state == INTENT) & ~allowed, offering, review)
    return rows, products


def wish_anew(rng: np.random.Generator, minds: Minds, where: Bools, offering: Offering, review: Review) -> None:
    rows, families = np.nonzero(where)
    minds.wish[rows, families] = draw_products(rng, rows, families, offering, review)


def draw_products(
    rng: np.random.Generator, rows: Ints, families: Ints, offering: Offering, review: Review
) -> SmallInts:
    """A product of the family for each (row, family): of the permitted, or of all on sale where none is permitted."""
    chances = np.where(review.open_to[rows, families][:, None], review.choice[rows], review.fancy[rows])
    chances = np.where(offering.family[None, :] == families[:, None], chances, 0)
    cdf = np.cumsum(chances, axis=1)
    draw = rng.random(len(rows))[:, None] * cdf[:, -1:]
    return small(np.minimum((draw >= cdf).sum(axis=1), cdf.shape[1] - 1))
