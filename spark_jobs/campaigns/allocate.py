"""One allocation over all campaigns: exact where that is cheap, else from prices, with a proven bound either way.

From prices: every user takes what gains them most; a campaign that more want than its budget has places keeps those to
whom it means most, so that few (those at the margin) are left over; and what then has room is filled, best first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.campaigns.choice import Market, Room
from spark_jobs.campaigns.exact import MOST_PAIRS, solved
from spark_jobs.campaigns.prices import BLOCK, bound, highest_prices, market_prices
from spark_jobs.campaigns.problem import Allocation, Bools, Floats, Ints, Problem


def allocate(problem: Problem, *, exact_up_to: int = MOST_PAIRS) -> Allocation:
    """The same problem gives the same allocation. exact_up_to: eligible pairs that the solver is asked for."""
    prices = market_prices(problem)
    highest = bound(problem, prices)
    if sum(map(len, problem.eligible)) <= exact_up_to and (found := solved(problem)) is not None:
        chosen, proven = found
        value = problem.worth_of(chosen)
        return Allocation(chosen, value, max(value, min(highest, proven)), prices, is_exact=True)
    chosen = _wanted(problem, prices)
    _trim(problem, prices, chosen)
    fill(problem, prices, chosen)
    return Allocation(chosen, problem.worth_of(chosen), highest, prices, is_exact=False)


def fill(problem: Problem, prices: Floats, chosen: Bools) -> None:
    """Give what is left of budgets to users who have room, best first, until nobody is left who could take more.

    Each round every such user asks for what gains them most; a campaign takes the best of those who ask.
    """
    room = problem.room.copy()
    for campaign, channel in enumerate(problem.channels):
        room[channel] -= chosen[campaign]
    left = problem.budgets - chosen.sum(axis=1)
    while (asked := _asked(problem, prices, chosen, room, left)).max(initial=-1) >= 0:
        for campaign in np.flatnonzero(left > 0):
            asking = np.flatnonzero(asked == campaign)
            taken = asking[_best(problem.worth[campaign, asking], int(left[campaign]))]
            chosen[campaign, taken] = True
            room[problem.channels[campaign], taken] -= 1
            left[campaign] -= len(taken)


def _wanted(problem: Problem, prices: Floats) -> Bools:
    market = Market(problem.channels, problem.exclusive)
    chosen = np.zeros(problem.worth.shape, np.bool_)
    for start in range(0, problem.users, BLOCK):
        block = slice(start, start + BLOCK)
        gains = np.maximum(problem.worth[:, block] - prices[:, None], 0.0)
        chosen[:, block] = market.choose(gains, problem.room[:, block])
    return chosen


def _trim(problem: Problem, prices: Floats, chosen: Bools) -> None:
    for campaign, budget in enumerate(problem.budgets):
        users = np.flatnonzero(chosen[campaign])
        if len(users) > budget:
            worth = problem.worth[campaign, users].astype(np.float64)
            kept = _best(highest_prices(problem, prices, campaign, users, worth), int(budget))
            chosen[campaign] = False
            chosen[campaign, users[kept]] = True


def _asked(problem: Problem, prices: Floats, chosen: Bools, room: Room, left: Ints) -> Ints:
    """(U,) the campaign that each user asks for, -1 for none."""
    most, asked = np.full(problem.users, -np.inf), np.full(problem.users, -1)
    for campaign in np.flatnonzero(left > 0):
        ruled_out = chosen[campaign] | chosen[problem.exclusive[campaign]].any(axis=0)
        gain = problem.worth[campaign] - prices[campaign]
        is_best = (problem.worth[campaign] > 0) & (room[problem.channels[campaign]] > 0) & ~ruled_out & (gain > most)
        most[is_best], asked[is_best] = gain[is_best], campaign
    return asked


def _best(values: NDArray[np.floating[Any]], most: int) -> Ints:
    """Places of the `most` largest, of equals the first, in descending order."""
    return np.argsort(-values, kind="stable")[:most]
