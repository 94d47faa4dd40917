"""The process behind the sample world: the truth is what it says, and nobody opens what he may not."""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from data_contracts.policy import Drop
from data_contracts.vocabulary import ProductEvent
from infra.local.world.log import IntentRows, ProductRows
from infra.local.world.offering import Offering, build_offering, standing
from infra.local.world.parameters import parameters
from infra.local.world.people import People, draw_people
from infra.local.world.plan import Plan
from infra.local.world.portfolio import NEVER
from infra.local.world.process import BlockHistory, live
from infra.local.world.reference import read_reference
from infra.local.world.truth import opening_probability

OPENED = tuple(ProductEvent).index(ProductEvent.OPENED)
DAYS, HORIZON, USERS = 60, 30, 6_000


@dataclass(frozen=True)
class Lived:
    plan: Plan
    people: People
    offering: Offering
    whole: BlockHistory
    before: BlockHistory  # up to one horizon earlier

    def openings(self, first: int, last: int) -> np.ndarray:
        """(n, p): how often each product was opened in [first, last)."""
        rows = ProductRows.concat([log.products for log in self.whole.logs[first:last]])
        opened = rows.kind == OPENED
        counts = np.zeros((USERS, len(self.offering.products)))
        np.add.at(counts, (rows.user[opened], rows.product[opened]), 1)
        return counts


@pytest.fixture(scope="module")
def lived() -> Lived:
    plan = Plan(users=USERS, days=DAYS, seed=3, last_date=date(2026, 3, 16), horizon_days=HORIZON)
    reference, people = read_reference(plan), draw_people(plan, parameters())
    offering = build_offering(reference.catalogue, reference.rules, parameters())
    whole = live(people, offering, plan, number=0, until=DAYS)
    return Lived(plan, people, offering, whole, live(people, offering, plan, number=0, until=DAYS - HORIZON))


@pytest.fixture(scope="module")
def chance(lived: Lived) -> np.ndarray:
    state = lived.before
    return opening_probability(state.minds, state.review, lived.offering, day=DAYS - HORIZON, horizon=HORIZON)


def test_a_shorter_history_is_the_beginning_of_a_longer_one(lived: Lived) -> None:
    for short, long in zip(lived.before.logs, lived.whole.logs, strict=False):
        assert np.array_equal(short.products.user, long.products.user)
        assert np.array_equal(short.products.product, long.products.product)
        assert np.array_equal(short.intents.wish, long.intents.wish)


def test_openings_come_as_often_as_the_truth_says(lived: Lived, chance: np.ndarray) -> None:
    happened = lived.openings(DAYS - HORIZON, DAYS)
    listed = lived.before.review.listed
    bounds = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
    for low, high in pairwise(bounds):
        bin_ = listed & (chance > low) & (chance <= high)
        expected, spread = chance[bin_].sum(), np.sqrt((chance * (1 - chance))[bin_].sum())
        assert abs(happened[bin_].sum() - expected) < 4 * spread + 1, (low, high)


def test_openings_of_every_family_come_as_often_as_the_truth_says(lived: Lived, chance: np.ndarray) -> None:
    happened = lived.openings(DAYS - HORIZON, DAYS) * lived.before.review.listed
    for family in range(lived.offering.families):
        columns = lived.offering.family == family
        expected = chance[:, columns].sum()
        spread = np.sqrt((chance * (1 - chance))[:, columns].sum())
        assert expected > 5
        assert abs(happened[:, columns].sum() - expected) < 4 * spread + 1


def test_a_shorter_horizon_is_less_likely_and_a_probability_is_one(lived: Lived, chance: np.ndarray) -> None:
    state = lived.before
    week = opening_probability(state.minds, state.review, lived.offering, day=DAYS - HORIZON, horizon=7)
    assert (week >= 0).all()
    assert (chance <= 1).all()
    assert (week <= chance + 1e-12).all()
    assert week.sum() < 0.5 * chance.sum()


def test_what_the_policy_forbids_has_no_chance(lived: Lived, chance: np.ndarray) -> None:
    assert (chance[~lived.before.review.permitted] == 0).all()
    # Not everybody it admits: who has just opened something rests from that family.
    assert (chance[lived.before.review.permitted] > 0).mean() > 0.98


def test_only_customers_who_may_have_a_product_open_it(lived: Lived) -> None:
    start = DAYS - HORIZON
    happened = lived.openings(start, DAYS) > 0
    newcomers = lived.people.joined >= start
    assert (lived.before.review.permitted | newcomers[:, None])[happened].all()
    assert not happened[~lived.people.customer].any()


def test_newcomers_begin_with_the_first_product(lived: Lived) -> None:
    first = lived.offering.product_number(parameters().process.first_product)
    came = np.flatnonzero((lived.people.joined == 12) & lived.people.customer)
    assert len(came) > 0
    assert (lived.openings(12, 13)[came, first] == 1).all()
    assert not lived.openings(0, 12)[came].any()


def test_nobody_opens_two_of_a_family_between_two_reviews(lived: Lived) -> None:
    happened = lived.openings(DAYS - HORIZON, DAYS)
    for family in range(lived.offering.families):
        assert happened[:, lived.offering.family == family].sum(axis=1).max() <= 1


def test_times_of_holding_agree_with_the_events(lived: Lived) -> None:
    spells = lived.whole.spells
    for kind, when in ((ProductEvent.OPENED, spells.opened), (ProductEvent.CLOSED, spells.closed)):
        told = {
            (user, product, day)
            for day, log in enumerate(lived.whole.logs)
            for user, product, step in zip(log.products.user, log.products.product, log.products.kind, strict=True)
            if tuple(ProductEvent)[step] == kind
        }
        within = (when >= 0) & (when < DAYS)
        kept = set(zip(spells.user[within], spells.product[within], when[within], strict=True))
        assert told == kept
        assert len(told) > 50


def test_no_product_is_held_twice_at_a_time(lived: Lived) -> None:
    spells = lived.whole.spells
    same = (spells.user[1:] == spells.user[:-1]) & (spells.product[1:] == spells.product[:-1])
    assert (spells.opened[1:][same] >= spells.closed[:-1][same]).all()
    assert (spells.opened < spells.closed).all()
    assert (spells.closed == NEVER).any()


def test_first_holdings_keep_the_rules(lived: Lived) -> None:
    start = lived.whole.spells
    held = np.zeros((USERS, len(lived.offering.products)), dtype=bool)
    then = (start.opened < 0) & (start.closed >= 0)
    held[start.user[then], start.product[then]] = True
    policy = lived.offering.policy_of_old(lived.plan.first_day)
    assert not (held & (held.astype(np.float32) @ policy.prohibited > 0)).any()
    assert ((held.astype(np.float32) @ policy.opens > 0) | ~policy.has_prerequisite)[held].all()


def test_intent_precedes_most_openings(lived: Lived) -> None:
    """So that what people look at tells what they will open."""
    start = DAYS - HORIZON
    early = IntentRows.concat([log.intents for log in lived.whole.logs[start - 1 : start]])
    keen = np.zeros((USERS, lived.offering.families), dtype=bool)
    keen[early.user, early.family] = True
    happened = np.zeros_like(keen)
    users, products = np.nonzero(lived.openings(start, start + 7))
    happened[users, lived.offering.family[products]] = True
    assert happened[keen].mean() > 10 * happened[~keen].mean()


def test_the_policy_sees_unknown_attributes_as_the_world_writes_them(lived: Lived) -> None:
    nothing = np.zeros((USERS, len(lived.offering.products)), dtype=bool)
    drops = standing(lived.people, lived.offering.policy(lived.plan.last_date), held=nothing, day=DAYS)
    loan = lived.offering.product_number("loan_cash")
    unknown = lived.people.score_band == 0
    assert unknown.any()
    assert (drops[unknown, loan] == Drop.NOT_ELIGIBLE).all()
    assert (drops[~unknown, loan] == Drop.NONE).any()
