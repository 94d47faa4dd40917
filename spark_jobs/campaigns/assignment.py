"""A day's campaigns, assigned: audiences, control groups, what was done before, the allocation, and whom it holds out.

A control group is the campaign's own hash of its audience. Who is in it is not contacted by the campaign, nor by
another one about the same product; the rest of the day is theirs like everybody's. Recorded are those of it whom the
campaign would have contacted at its price, so that they compare with those whom it did.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_contracts.campaigns import Campaign
from data_contracts.catalogue import Catalogue
from data_contracts.contact_policy import contact_policy
from data_contracts.vocabulary import Channel
from spark_jobs.campaigns.allocate import allocate
from spark_jobs.campaigns.prices import highest_prices
from spark_jobs.campaigns.problem import Allocation, Bools, Ints, Problem
from spark_jobs.campaigns.snapshot import Reach

_CHANNELS = tuple(Channel)


@dataclass(frozen=True)
class Before:
    """What earlier assignments leave.

    used (C,): contacts of each campaign so far; ruled_out (C, U): who had the campaign, was recorded as its control, or
    had one that it excludes; contacts (H, U) int8: of each user in the caps' window, by channel.
    """

    used: Ints
    ruled_out: Bools
    contacts: NDArray[np.int8]


@dataclass(frozen=True)
class Assigned:
    """contacts, controls, audience (C, U) Bools; `audience` are all who may be asked, control groups among them."""

    allocation: Allocation
    contacts: Bools
    controls: Bools
    audience: Bools
    held_out: Bools


def assign(
    reach: Reach, campaigns: Sequence[Campaign], *, catalogue: Catalogue, before: Before, contacts: int
) -> Assigned:
    """contacts: most that a user may get of a channel, `before.contacts` counted in. Pure, and the same every time."""
    held = reach.held_out(campaigns)
    audience = (reach.score > 0) & ~before.ruled_out
    problem = Problem(
        worth=np.where(_open(held, campaigns, catalogue) & audience, reach.worth, np.float32(0)),
        budgets=np.maximum(np.array([one.budget for one in campaigns], np.int64) - before.used, 0),
        channels=np.array([_CHANNELS.index(one.channel) for one in campaigns], np.int64),
        room=np.maximum(contacts - before.contacts, 0).astype(np.int8),
        exclusive=exclusions(campaigns),
    )
    allocation = allocate(problem)
    controls = _would_have(problem, allocation, reach.worth, held & audience)
    return Assigned(allocation, allocation.chosen, controls, audience, held & audience)


def exclusions(campaigns: Sequence[Campaign]) -> Bools:
    """(C, C) whether a user gets only one of two: one of them says so, or the contact policy."""
    groups = contact_policy().exclusive
    said = np.zeros((len(campaigns), len(campaigns)), np.bool_)
    for row, one in enumerate(campaigns):
        for column, other in enumerate(campaigns):
            together = any({one.name, other.name} <= group for group in groups) and one is not other
            said[row, column] = together or other.name in one.exclusive_with
    return np.asarray(said | said.T)


def _open(held: Bools, campaigns: Sequence[Campaign], catalogue: Catalogue) -> Bools:
    """(C, U) whom control groups leave to each campaign."""
    about = [{product.product_id for product in one.products(catalogue)} for one in campaigns]
    left = np.ones(held.shape, np.bool_)
    for one, products in enumerate(about):
        for other, others in enumerate(about):
            if products & others:
                left[other] &= ~held[one]
    return left


def _would_have(problem: Problem, allocation: Allocation, worth: NDArray[np.float32], held: Bools) -> Bools:
    """(C, U) who of the control groups would take the campaign at its price, were they not held out."""
    found = np.zeros(held.shape, np.bool_)
    for campaign, price in enumerate(allocation.prices):
        users = np.flatnonzero(held[campaign])
        highest = highest_prices(problem, allocation.prices, campaign, users, worth[campaign, users].astype(np.float64))
        found[campaign, users[(highest > price) & (problem.budgets[campaign] > 0)]] = True
    return found
