"""The truth: how likely each user opened each product within the horizon after D. Only evaluation may read it.

Exact for the process that makes the history (process.py), not an estimate. Towards a family a user is a Markov chain
of three states and an absorbing fourth, `opened`; from D on its transition probabilities change once at most, when
the user's rest from the family ends, because D is a review day and no review falls within the horizon. With

    a = 1 - (1 - intent)(1 - wake)      idle -> intent
    i = can * apply_idle * (1 - wake)   idle -> waiting
    c = can * apply, l = leave          intent -> waiting, intent -> idle
    d = decide, q = approve             waiting -> opened with d q, waiting -> idle with d (1 - q)

`total` is the mass absorbed in `horizon` steps. The part of it that never passed through `idle` belongs to the wish
the user has on D, product w; whatever passes through `idle` forgets it and wishes anew by `choice`. So

    P(p) = direct [p = w] + (total - direct) choice(p).
"""

from dataclasses import dataclass

import numpy as np

from infra.local.world.arrays import Bools, Doubles, doubles
from infra.local.world.minds import IDLE, INTENT, WAITING, Minds
from infra.local.world.offering import Offering
from infra.local.world.process import Hazards
from infra.local.world.review import Review


@dataclass(frozen=True)
class Chain:
    """Probabilities a day, (n, families) each."""

    onset: Doubles
    out_of_nothing: Doubles
    apply: Doubles
    leave: Doubles
    approved: Doubles
    declined: Doubles


def opening_probability(minds: Minds, review: Review, offering: Offering, *, day: int, horizon: int) -> Doubles:
    """(n, p): the probability of opening each product in days [day, day + horizon), seen from the review of `day`."""
    hazards = Hazards.of(offering.params)
    onset, waiting = _start(minds, INTENT), _start(minds, WAITING)
    total, direct = np.zeros_like(onset), np.zeros_like(onset)
    now = (_start(minds, IDLE), onset, waiting)
    spell = (np.zeros_like(onset), onset, waiting)
    for step in range(horizon):
        chain = _chain(hazards, review, can=review.open_to & (minds.free_from <= day + step))
        total += now[2] * chain.approved
        direct += spell[2] * chain.approved
        now = _next(now, chain)
        _, intent, wait = _next(spell, chain)
        spell = (np.zeros_like(intent), intent, wait)
    anew = (total - direct)[:, offering.family] * review.choice
    wished = minds.wish[:, offering.family] == np.arange(len(offering.products))
    return doubles(anew + direct[:, offering.family] * wished)


def _start(minds: Minds, state: int) -> Doubles:
    return doubles(minds.state == state)


def _chain(hazards: Hazards, review: Review, *, can: Bools) -> Chain:
    return Chain(
        onset=doubles(1 - (1 - doubles(review.intent)) * (1 - doubles(review.wake))),
        out_of_nothing=can * doubles(hazards.apply_idle) * (1 - doubles(review.wake)),
        apply=can * doubles(hazards.apply),
        leave=np.broadcast_to(doubles(hazards.leave), can.shape),
        approved=hazards.decide * doubles(review.approve),
        declined=hazards.decide * (1 - doubles(review.approve)),
    )


def _next(mass: tuple[Doubles, Doubles, Doubles], chain: Chain) -> tuple[Doubles, Doubles, Doubles]:
    idle, intent, waiting = mass
    return (
        idle * (1 - chain.onset - chain.out_of_nothing) + intent * chain.leave + waiting * chain.declined,
        intent * (1 - chain.apply - chain.leave) + idle * chain.onset,
        waiting * (1 - chain.approved - chain.declined) + intent * chain.apply + idle * chain.out_of_nothing,
    )
