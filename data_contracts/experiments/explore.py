"""Exploration: of few answers two neighbours change places, with known chance, so that logs can tell of other orders.

What is drawn is a hash of user and snapshot: every interface answers alike, and asking again draws nothing anew. Only
neighbours of one kind change places, so that a placement's pattern of kinds stays. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from data_contracts.experiments.assign import point, salt_number
from data_contracts.vocabulary import Kind

_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Drawn:
    """`order`: places (from 0) of the answer in the order shown; `propensities`: chance of each to stand where it does.

    Both have the answer's length. As a fifth of the answers is the most, who changed places has a chance of a fifth or
    less, and who did not of four fifths or more.
    """

    order: Sequence[int]
    propensities: Sequence[float]


def drawn(kinds: Sequence[Kind], *, share: float, user_id: int, snapshot_id: str) -> Drawn:
    """Of an answer whose items are of `kinds`; of `share` of the answers one pair changes places, each as likely."""
    pairs = [place for place in range(len(kinds) - 1) if kinds[place] is kinds[place + 1]]
    order, chance = list(range(len(kinds))), [1.0] * len(kinds)
    if not share or not pairs:
        return Drawn(order, chance)
    of_pair = share / len(pairs)
    for place in pairs:
        chance[place] -= of_pair
        chance[place + 1] -= of_pair
    number = int(point(user_id, salt_number(f"explore {snapshot_id}")) / 2**64 / of_pair)
    if number < len(pairs):
        first = pairs[number]
        order[first], order[first + 1] = first + 1, first
        chance[first] = chance[first + 1] = of_pair
    return Drawn(order, chance)


def drawn_order(propensities: Sequence[float]) -> Sequence[int]:
    """The order that was drawn once, by the chances that were logged: a small one tells who changed places."""
    order = list(range(len(propensities)))
    for place in order[:-1]:
        if max(propensities[place : place + 2]) < _LIKELY:
            order[place], order[place + 1] = place + 1, place
            break
    return order
