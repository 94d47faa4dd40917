"""The allocation of users to campaigns: beside an optimum found by trying everything, and beside the solver."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.bench.allocation import queued, sample_problem
from spark_jobs.campaigns.allocate import allocate
from spark_jobs.campaigns.problem import Allocation, Bools, Problem


@st.composite
def problems(draw: st.DrawFn, *, campaigns: int = 3, users: int = 5, pairs: int = 9) -> Problem:
    """Worths repeat, as those of quantised scores do; some users have no room, some campaigns no budget."""
    count, people = draw(st.integers(1, campaigns)), draw(st.integers(1, users))
    places = st.tuples(st.integers(0, count - 1), st.integers(0, people - 1))
    worth = np.zeros((count, people), np.float32)
    for place in draw(st.sets(places, max_size=pairs)):
        worth[place] = draw(st.sampled_from([0.5, 1, 2, 2.5, 7]))
    exclusive = np.zeros((count, count), np.bool_)
    for one, other in draw(st.sets(st.sampled_from([*combinations(range(count), 2)]), max_size=3)) if count > 1 else ():
        exclusive[one, other] = exclusive[other, one] = True
    numbers = st.integers(0, 3)
    return Problem(
        worth,
        budgets=np.array(draw(st.lists(numbers, min_size=count, max_size=count)), np.int64),
        channels=np.array(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)), np.int64),
        room=np.array(draw(st.lists(numbers, min_size=2 * people, max_size=2 * people)), np.int8).reshape(2, people),
        exclusive=exclusive,
    )


def is_allowed(problem: Problem, chosen: Bools) -> bool:
    contacts = np.array([chosen[problem.channels == channel].sum(axis=0) for channel in range(len(problem.room))])
    together = any((chosen[one] & chosen[other]).any() for one, other in np.argwhere(problem.exclusive))
    return bool(
        not chosen[problem.worth == 0].any()
        and (chosen.sum(axis=1) <= problem.budgets).all()
        and (contacts <= problem.room).all()
        and not together
    )


def best_of_all(problem: Problem) -> float:
    """By trying every set of pairs."""
    pairs = np.argwhere(problem.worth)
    best = 0.0
    for some in chain.from_iterable(combinations(pairs, size) for size in range(len(pairs) + 1)):
        chosen = np.zeros(problem.worth.shape, np.bool_)
        for campaign, user in some:
            chosen[campaign, user] = True
        if (value := problem.worth_of(chosen)) > best and is_allowed(problem, chosen):
            best = value
    return best


@given(problems(pairs=8))
@settings(max_examples=25)
def test_a_small_case_is_solved_exactly(problem: Problem) -> None:
    found = allocate(problem)
    assert is_allowed(problem, found.chosen)
    assert found.is_exact
    assert found.value == pytest.approx(best_of_all(problem))
    assert found.value <= found.bound <= found.value + 1e-6


@given(problems(campaigns=6, users=30, pairs=90))
@settings(max_examples=40)
def test_prices_give_an_allowed_allocation_and_a_bound_that_the_optimum_keeps_to(problem: Problem) -> None:
    priced, optimum = allocate(problem, exact_up_to=0), allocate(problem)
    assert is_allowed(problem, priced.chosen)
    assert priced.value <= optimum.value + 1e-6 <= priced.bound + 2e-6


def test_many_users_are_allocated_within_a_thousandth_of_the_bound_the_same_way_every_time() -> None:
    """Six of the campaigns want the same users for the same as another one does."""
    problem = sample_problem(users=15_000, campaigns=12, seed=3)
    found = allocate(problem)
    assert is_allowed(problem, found.chosen)
    assert not found.is_exact and found.gap < 0.001
    assert queued(problem) < found.value <= found.bound
    assert np.array_equal(found.chosen, allocate(problem).chosen)


def test_campaigns_that_want_the_very_same_users_do_not_bid_each_other_down_to_nothing() -> None:
    worth = np.random.default_rng(1).random(8_000).astype(np.float32)
    found = allocate(
        Problem(
            np.array([worth, worth, worth]),
            budgets=np.array([1_000, 1_500, 2_500]),
            channels=np.zeros(3, np.int64),
            room=np.ones((1, 8_000), np.int8),
            exclusive=np.zeros((3, 3), np.bool_),
        )
    )
    assert found.gap < 0.001
    assert found.value == pytest.approx(float(np.sort(worth)[-5_000:].sum(dtype=np.float64)), rel=1e-3)


def test_of_users_who_are_worth_the_same_the_first_are_taken() -> None:
    problem = Problem(
        np.ones((1, 30_000), np.float32),
        budgets=np.array([10]),
        channels=np.array([0]),
        room=np.ones((1, 30_000), np.int8),
        exclusive=np.zeros((1, 1), np.bool_),
    )
    assert np.flatnonzero(allocate(problem).chosen).tolist() == list(range(10))


def test_nothing_to_allocate_is_allocated() -> None:
    nobody = Problem(
        np.zeros((2, 0), np.float32), np.array([1, 1]), np.array([0, 0]), np.zeros((1, 0), np.int8), np.eye(2) > 1
    )
    found = allocate(nobody)
    assert (found.value, found.bound, found.gap) == (0, 0, 0)
    assert isinstance(found, Allocation)


def test_a_worth_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Problem(np.array([[np.nan]], np.float32), np.array([1]), np.array([0]), np.ones((1, 1), np.int8), np.eye(1) > 1)
