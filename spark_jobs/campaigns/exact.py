"""The allocation as an integer program, solved to proven optimality by HiGHS: for small cases."""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from spark_jobs.campaigns.problem import Bools, Ints, Problem

# Beyond it a solver's minutes buy less than the last per mille.
MOST_PAIRS = 20_000
_MOST_NODES = 2_000


def solved(problem: Problem) -> tuple[Bools, float] | None:
    """(C, U) an optimum and the solver's bound; None where it gave up before it had proven one."""
    campaigns, users = np.nonzero(problem.worth)
    if not len(campaigns):
        return np.zeros(problem.worth.shape, np.bool_), 0.0
    worth = problem.worth[campaigns, users].astype(np.float64)
    answer = milp(
        -worth,
        integrality=np.ones(len(worth)),
        bounds=Bounds(0, 1),
        constraints=_constraints(problem, campaigns, users),
        options={"mip_rel_gap": 0.0, "node_limit": _MOST_NODES},
    )
    if answer.status != 0:
        return None
    chosen = np.zeros(problem.worth.shape, np.bool_)
    chosen[campaigns, users] = answer.x > 0.5
    return chosen, float(-answer.mip_dual_bound)


def _constraints(problem: Problem, campaigns: Ints, users: Ints) -> list[LinearConstraint]:
    pairs = np.arange(len(campaigns))
    channels = problem.channels[campaigns]
    limits = [
        _at_most(campaigns, pairs, problem.budgets.astype(np.float64), len(pairs)),
        _at_most(channels * problem.users + users, pairs, problem.room.ravel().astype(np.float64), len(pairs)),
    ]
    for one, other in np.argwhere(np.triu(problem.exclusive)):
        either = np.flatnonzero((campaigns == one) | (campaigns == other))
        limits.append(_at_most(users[either], either, np.ones(problem.users), len(pairs)))
    return limits


def _at_most(
    rows: Ints, pairs: Ints, most: np.ndarray[tuple[int], np.dtype[np.float64]], size: int
) -> LinearConstraint:
    """Of the pairs in each row at most so many."""
    used, row = np.unique(rows, return_inverse=True)
    matrix = coo_array((np.ones(len(pairs)), (row, pairs)), shape=(len(used), size)).tocsr()
    return LinearConstraint(matrix, ub=most[used])
