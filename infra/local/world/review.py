"""A review: every `review_days` the bank settles who may be sold what, and until the next one nothing of it changes.

So what a user will open within a horizon no longer than that follows from the state on a review day alone, and the
true probability (truth.py) is exact. D is a review day.
"""

from dataclasses import dataclass

import numpy as np

from data_contracts.policy import Drop
from infra.local.world.arrays import Bools, Floats, floats
from infra.local.world.offering import Offering, causes, choice, families_open, standing
from infra.local.world.people import People
from infra.local.world.plan import Plan

# Nothing speaks against the product itself; what else the user holds may.
_LISTED = (Drop.NONE, Drop.PROHIBITED_WITH_HELD, Drop.MISSING_PREREQUISITE)


@dataclass(frozen=True)
class Review:
    """What holds for a block of people from one review to the next; (n, p) and (n, families).

    `listed`: eligible, on sale and not held. `permitted`: listed and allowed by the rules. `choice`: which permitted
    product of a family is wanted; `fancy`: the same among all on sale, for those who may have none of the family.
    Per day: `intent` to fall into intent, `approve` to have an application approved, `wake` to be woken by a campaign.
    """

    listed: Bools
    permitted: Bools
    open_to: Bools
    choice: Floats
    fancy: Floats
    intent: Floats
    approve: Floats
    reached: Bools
    wake: Floats


def hold_review(people: People, offering: Offering, *, held: Bools, plan: Plan, day: int) -> Review:
    params = offering.params
    features = causes(people, params)
    first, last = (offering.policy(plan.date(at)) for at in (day, day + plan.review_days - 1))
    sold = first.sold & last.sold
    known = (people.customer & (people.joined < day))[:, None]
    drops = standing(people, first, held=held, day=day)
    listed = np.isin(drops, _LISTED) & sold & known
    permitted = (drops == Drop.NONE) & listed
    open_to = families_open(offering, permitted)
    reached = open_to & people.consents.any(axis=1)[:, None]
    wake = params.campaigns.contact * (1 - params.campaigns.hold_out) * params.campaigns.wake
    return Review(
        listed=listed,
        permitted=permitted,
        open_to=open_to,
        choice=choice(features, offering, open_to=permitted, held=held),
        fancy=choice(features, offering, open_to=np.broadcast_to(sold, held.shape), held=held),
        intent=intent_probability(features, offering, held=held),
        approve=_approval(people, offering),
        reached=reached,
        wake=(reached * wake).astype(np.float32),
    )


def intent_probability(features: Floats, offering: Offering, *, held: Bools) -> Floats:
    """(n, families), a day: base odds times the hidden causes, and what is held calls for what complements it."""
    base = np.array([behaviour.intent for behaviour in offering.params.families.values()])
    calls = held.astype(np.float32) @ offering.complements.T @ offering.in_family().astype(np.float32)
    logit = np.log(base / (1 - base)) + features @ offering.family_effects
    logit += offering.params.holdings.family_intent * np.minimum(calls, 3)
    return floats(1 / (1 + np.exp(-logit)))


def _approval(people: People, offering: Offering) -> Floats:
    families = offering.params.families.values()
    best = np.array([behaviour.approve for behaviour in families])
    loss = np.array([behaviour.approve_loss for behaviour in families])
    return floats(best - loss * (people.true_score[:, None] - 1))
