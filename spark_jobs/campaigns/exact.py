"""The allocation as a linear program, for HiGHS: small cases to proven optimality, and first prices for large ones."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, vstack

from spark_jobs.campaigns.problem import Bools, Floats, Ints, Problem

# Beyond it a solver's minutes buy less than the last per mille.
MOST_PAIRS = 20_000
_MOST_NODES = 2_000
# Of the linear program, which takes a second for so many.
_SAMPLED_PAIRS = 60_000


def solved(problem: Problem) -> tuple[Bools, float] | None:
    """(C, U) an optimum and the solver's bound; None where it gave up before it had proven one."""
    campaigns, users = np.nonzero(problem.worth)
    if not len(campaigns):
        return np.zeros(problem.worth.shape, np.bool_), 0.0
    worth = problem.worth[campaigns, users].astype(np.float64)
    limits, most = _limits(problem, campaigns, users, problem.budgets.astype(np.float64))
    answer = milp(
        -worth,
        integrality=np.ones(len(worth)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(limits, ub=most),
        options={"mip_rel_gap": 0.0, "node_limit": _MOST_NODES},
    )
    if answer.status != 0:
        return None
    chosen = np.zeros(problem.worth.shape, np.bool_)
    chosen[campaigns, users] = answer.x > 0.5
    return chosen, float(-answer.mip_dual_bound)


def relaxed_prices(problem: Problem, *, most_pairs: int = _SAMPLED_PAIRS) -> Floats:
    """(C,) what one more contact of each budget is worth, were contacts divisible: of a random part of the users, the
    same every time, with budgets in proportion, so that about `most_pairs` are eligible. 0 where the solver fails.
    """
    every = sum(map(len, problem.eligible))
    share = min(1.0, most_pairs / max(every, 1))
    some = np.flatnonzero(np.random.default_rng(0).random(problem.users) < share)
    part = Problem(
        np.ascontiguousarray(problem.worth[:, some]),
        problem.budgets,
        problem.channels,
        problem.room[:, some],
        problem.exclusive,
    )
    campaigns, users = np.nonzero(part.worth)
    if not len(campaigns):
        return np.zeros(problem.campaigns)
    limits, most = _limits(part, campaigns, users, problem.budgets * (len(some) / problem.users))
    answer = linprog(-part.worth[campaigns, users].astype(np.float64), A_ub=limits, b_ub=most, bounds=(0, 1))
    if answer.status != 0:
        return np.zeros(problem.campaigns)
    return np.asarray(np.maximum(-answer.ineqlin.marginals[: problem.campaigns], 0.0))


def _limits(problem: Problem, campaigns: Ints, users: Ints, budgets: Floats) -> tuple[csr_array, NDArray[np.float64]]:
    """Of the pairs at most so many: a row a campaign, then rows of users' room, then of their exclusions."""
    pairs = np.arange(len(campaigns))
    channels = problem.channels[campaigns]
    rows = [
        _at_most(campaigns, pairs, budgets, len(pairs)),
        _at_most(channels * problem.users + users, pairs, problem.room.ravel().astype(np.float64), len(pairs)),
    ]
    for one, other in np.argwhere(np.triu(problem.exclusive)):
        either = np.flatnonzero((campaigns == one) | (campaigns == other))
        rows.append(_at_most(users[either], either, np.ones(problem.users), len(pairs)))
    return vstack([matrix for matrix, _ in rows], format="csr"), np.concatenate([most for _, most in rows])


def _at_most(rows: Ints, pairs: Ints, most: Floats, size: int) -> tuple[csr_array, Floats]:
    """Of the pairs in each row at most so many."""
    matrix = coo_array((np.ones(len(pairs)), (rows, pairs)), shape=(len(most), size)).tocsr()
    return matrix, most
