"""Strangers: rates by segment and portrait, and how they are measured on users held out from training."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spark_jobs.candidates.strangers import Profiles, stranger_rates
from spark_jobs.evaluation.cold_users import cold_users, half_of, rates_of_half
from spark_jobs.evaluation.rolling import SeenUsers
from spark_jobs.features.portraits import PROFILE
from spark_jobs.ranking.products import LabelledUsers
from spark_jobs.ranking.rows import ProductTable
from tests.unit.test_rolling import WINDOWS

SEGMENTS, PRODUCTS, USERS = 40, 6, 4000
TASTE = np.random.default_rng(1).normal(size=(SEGMENTS, PRODUCTS))


def seen(number: int) -> SeenUsers:
    """Many small segments; who holds a product is like those who open it, in features that say which taste is whose."""
    draws = np.random.default_rng(number)
    segment = draws.integers(0, SEGMENTS, USERS).astype(np.int16)
    wants = TASTE[segment]
    labels = draws.random((USERS, PRODUCTS)) < 0.02 * np.exp(wants)
    held = draws.random((USERS, PRODUCTS)) < 0.1 * np.exp(wants)
    features = np.column_stack([wants[:, n] + draws.normal(0, 0.5, USERS) for n in range(PRODUCTS)])
    table = ProductTable(
        ids=tuple(f"p{n}" for n in range(PRODUCTS)),
        families=np.arange(PRODUCTS),
        values=np.ones(PRODUCTS, np.float32),
        features=np.zeros((PRODUCTS, 1), np.float32),
        is_new=np.zeros(PRODUCTS, bool),
    )
    pairs = np.zeros((USERS, PRODUCTS, 0), np.float32)
    users = LabelledUsers(np.arange(USERS), features.astype(np.float32), pairs, np.ones_like(labels), labels, table)
    return SeenUsers(WINDOWS[number], users, segment, held, PROFILE[:PRODUCTS], ())


SEEN = [seen(number) for number in range(3)]


def test_portraits_help_strangers_of_segments_that_opened_little() -> None:
    found = cold_users(SEEN, k=2)
    assert found["blended-segment"]["ndcg@2"].value > 0.015
    assert found["blended-popular"]["recall@2"].low > 0
    assert found["segment"]["ndcg@2"].value > found["popular"]["ndcg@2"].value
    assert found["blended"]["ndcg@2"].users == int(SEEN[0].users.labels.any(axis=1).sum())


def test_nobody_is_told_what_their_own_half_did() -> None:
    of_half = rates_of_half(SEEN[0], SEEN[1:], taught=True)
    changed = []
    for one in SEEN:
        own = ~half_of(one)
        labels, held, features = (x.copy() for x in (one.users.labels, one.held, one.users.features))
        labels[own], held[own], features[own] = True, True, 9.0
        changed.append(replace(one, users=replace(one.users, labels=labels, features=features), held=held))
    after = rates_of_half(changed[0], changed[1:], taught=True)
    for model, rates in of_half.items():
        np.testing.assert_allclose(rates, after[model], err_msg=model)


def test_likeness_is_the_cosine_of_profiles_and_unknown_says_nothing() -> None:
    profiles = Profiles(
        segments=np.array([[2.0, 5.0], [0.0, np.nan], [1.0, 5.0]]),
        holders=np.array([[3.0, np.nan], [1.0, 7.0]]),
        everyone=np.array([1.0, 5.0]),
        spread=np.array([1.0, 2.0]),
    )
    assert profiles.likeness() == pytest.approx(np.array([[1, 0], [-1, 0], [0, 0]]))


def test_a_large_segment_has_its_own_rate_and_one_without_users_what_its_portrait_says() -> None:
    users = np.array([1e7, 1e7, 0.0, 0.0])
    openings = np.array([[4e5, 1e5], [1e5, 4e5], [0, 0], [0, 0]])
    likeness = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [0.0, 0.0]])
    rates = stranger_rates(openings, users, likeness)
    assert rates[:2] == pytest.approx(openings[:2] / 1e7, rel=1e-3)
    assert rates[2] == pytest.approx(rates[0], rel=0.02)
    assert rates[3, 0] == pytest.approx(rates[3, 1])


@settings(deadline=None)
@given(
    openings=arrays.arrays(np.int64, (4, 3), elements=st.integers(0, 50)),
    likeness=arrays.arrays(np.float64, (4, 3), elements=st.floats(-1, 1)),
)
def test_rates_are_probabilities_whatever_was_opened(openings: np.ndarray, likeness: np.ndarray) -> None:
    rates = stranger_rates(openings.astype(float), np.array([60.0, 60, 500, 10_000]), likeness)
    assert (rates > 0).all()
    assert (rates <= 1).all()
