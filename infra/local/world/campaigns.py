"""Campaigns: a daily random draw of customers by family, a random tenth of it held out and shown nothing.

A draw on day d for family f is the campaign `f-YYYYMMDD`. Each user drawn is offered the product that suits.
"""

from dataclasses import dataclass

import numpy as np

from data_contracts.vocabulary import CampaignEvent, ProductEvent
from infra.local.world.arrays import Bools, Ints, SmallInts, ints
from infra.local.world.clock import draw_seconds, later
from infra.local.world.log import CampaignRows, ProductRows
from infra.local.world.minds import IDLE, Minds, draw_products
from infra.local.world.offering import Offering
from infra.local.world.people import People
from infra.local.world.review import Review

_KINDS = {kind: number for number, kind in enumerate(CampaignEvent)}
_OPENED = tuple(ProductEvent).index(ProductEvent.OPENED)


@dataclass(frozen=True)
class Contacts:
    """Today's draws, one an element; `woken` is (n, families)."""

    rows: Ints
    families: Ints
    products: SmallInts
    held_out: Bools
    in_intent: Bools
    woken: Bools


def draw_contacts(rng: np.random.Generator, minds: Minds, offering: Offering, review: Review, *, day: int) -> Contacts:
    """Draw, and remember in `minds` who was shown what."""
    params = offering.params.campaigns
    draw = rng.random(review.reached.shape, dtype=np.float32)
    rows, families = np.nonzero(review.reached & (draw < params.contact))
    products = draw_products(rng, rows, families, offering, review)
    chance = rng.random(len(rows))
    held_out = chance < params.hold_out
    woken = np.zeros(review.reached.shape, dtype=bool)
    woken[rows, families] = ~held_out & (rng.random(len(rows)) < params.wake)
    shown = ~held_out
    minds.shown_on[rows[shown], families[shown]] = day
    minds.shown_product[rows[shown], families[shown]] = products[shown]
    return Contacts(rows, families, products, held_out, minds.state[rows, families] != IDLE, woken)


def campaign_rows(
    rng: np.random.Generator,
    minds: Minds,
    contacts: Contacts,
    products: ProductRows,
    *,
    people: People,
    offering: Offering,
    day: int,
) -> CampaignRows:
    """Today's contacts, what users answered, and today's openings that follow a recent contact."""
    params = offering.params.campaigns
    n = len(contacts.rows)
    click = np.where(contacts.in_intent, params.click_in_intent, params.click)
    draw = rng.random(n)
    clicked = ~contacts.held_out & (draw < click)
    dismissed = ~contacts.held_out & ~clicked & (draw > 1 - params.dismiss)
    channel = _channels(rng, people.consents[contacts.rows])
    seconds = draw_seconds(rng, n)
    answered = later(rng, seconds, within=600)

    said = [
        (contacts.held_out, CampaignEvent.HELD_OUT, seconds),
        (~contacts.held_out, CampaignEvent.SHOWN, seconds),
        (clicked, CampaignEvent.CLICKED, answered),
        (dismissed, CampaignEvent.DISMISSED, answered),
    ]
    told = [
        CampaignRows(
            user=contacts.rows[where],
            family=contacts.families[where].astype(np.int8),
            product=contacts.products[where],
            channel=channel[where].astype(np.int8),
            kind=np.full(int(where.sum()), _KINDS[kind], dtype=np.int8),
            second=at[where],
            wave=np.full(int(where.sum()), day, dtype=np.int16),
        )
        for where, kind, at in said
    ]
    return CampaignRows.concat([*told, _purchases(rng, minds, products, people=people, offering=offering, day=day)])


def _channels(rng: np.random.Generator, consents: Bools) -> Ints:
    """A random one of the channels that each may be addressed by."""
    return ints(np.argmax(np.where(consents, rng.random(consents.shape), -1), axis=1))


def _purchases(
    rng: np.random.Generator, minds: Minds, products: ProductRows, *, people: People, offering: Offering, day: int
) -> CampaignRows:
    opened = products.kind == _OPENED
    rows, product, second = products.user[opened], products.product[opened], products.second[opened]
    families = offering.family[product].astype(np.int64)
    since = day - minds.shown_on[rows, families].astype(np.int64)
    due = (since <= offering.params.process.campaign_days) & (minds.shown_product[rows, families] == product)
    rows, families = rows[due], families[due]
    return CampaignRows(
        user=rows,
        family=families.astype(np.int8),
        product=product[due],
        channel=_channels(rng, people.consents[rows]).astype(np.int8),
        kind=np.full(len(rows), _KINDS[CampaignEvent.PURCHASED], dtype=np.int8),
        second=second[due],
        wave=minds.shown_on[rows, families],
    )
