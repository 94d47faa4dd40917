"""Prices of contacts: the Lagrangian dual of the allocation, brought down one campaign at a time.

With a price for each contact of a campaign's budget, users choose on their own, and

    sum over campaigns of budget * price  +  sum over users of the most they gain at these prices

is worth at least as much as any allocation, whatever the prices (weak duality; Fisher, "The Lagrangian relaxation
method for solving integer programming problems", Management Science 1981). For one campaign the price that makes this
least is known at once: that at which as many users would just take it as its budget has places. Going round the
campaigns is coordinate descent; it is an auction in which each campaign clears its own market. It stands still where
only several prices together can move (campaigns that want the same users for the same), so it starts from the prices of
a linear program over some of the users.
"""

import numpy as np

from spark_jobs.campaigns.choice import Market
from spark_jobs.campaigns.exact import relaxed_prices
from spark_jobs.campaigns.problem import Floats, Ints, Problem

# Users at a time: a block's arrays stay in the processor's cache.
BLOCK = 32_768
_SWEEPS = 8
# Share by which the last prices still move: the gap is then far below it.
_SETTLED = 1e-4


def market_prices(problem: Problem) -> Floats:
    """(C,) prices at which the bound can hardly be lowered. The same problem gives the same prices."""
    return _descended(problem, relaxed_prices(problem))


def bound(problem: Problem, prices: Floats) -> float:
    """What no allocation can exceed."""
    market = Market(problem.channels, problem.exclusive)
    total = float(problem.budgets @ prices)
    for start in range(0, problem.users, BLOCK):
        block = slice(start, start + BLOCK)
        gains = np.maximum(problem.worth[:, block] - prices[:, None], 0.0)
        total += float(market.best(gains, problem.room[:, block]).sum())
    return total


def highest_prices(problem: Problem, prices: Floats, campaign: int, users: Ints, worth: Floats) -> Floats:
    """(n,) up to which price of `campaign` each of `users` would take it, were it worth that to them; -inf: at none.

    The other campaigns' prices stand. Taking it leaves one place less in its channel and rules out what it excludes.
    """
    near = problem.neighbours[campaign]
    market = Market(problem.channels[near], problem.exclusive[np.ix_(near, near)])
    found = np.empty(len(users))
    for start in range(0, len(users), BLOCK):
        rows = users[start : start + BLOCK]
        gains = np.maximum(problem.worth[np.ix_(near, rows)] - prices[near, None], 0.0)
        gains[near == campaign] = 0.0
        room = problem.room[:, rows]
        without = market.best(gains, room)
        gains[problem.exclusive[campaign, near]] = 0.0
        less = room.copy()
        less[problem.channels[campaign]] -= 1
        taking = worth[start : start + BLOCK] + market.best(gains, less) - without
        found[start : start + BLOCK] = np.where(room[problem.channels[campaign]] > 0, taking, -np.inf)
    return found


def _descended(problem: Problem, prices: Floats) -> Floats:
    prices = prices.copy()
    for _ in range(_SWEEPS):
        before = prices.copy()
        for campaign, users in enumerate(problem.eligible):
            worth = problem.worth[campaign, users].astype(np.float64)
            offers = highest_prices(problem, prices, campaign, users, worth)
            prices[campaign] = _clearing(offers, int(problem.budgets[campaign]))
        if np.all(np.abs(prices - before) <= _SETTLED * np.maximum(prices, before)):
            break
    return prices


def _clearing(offers: Floats, budget: int) -> float:
    """The least price at which no more want a place than there are; 0 where there are places for all."""
    if budget >= len(offers):
        return 0.0
    return max(0.0, float(np.partition(offers, len(offers) - budget - 1)[len(offers) - budget - 1]))
