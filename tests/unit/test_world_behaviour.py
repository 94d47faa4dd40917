"""What people of the sample world do follows from the same hidden causes everywhere, so there is something to learn."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest

from data_contracts.vocabulary import Domain
from infra.local.world.crowd import Choices, Visits, Wants, draw_items, todays_wants
from infra.local.world.days import build_scene
from infra.local.world.log import IntentRows
from infra.local.world.offering import build_offering
from infra.local.world.parameters import parameters
from infra.local.world.plan import Plan
from infra.local.world.process import live
from infra.local.world.reference import read_reference
from infra.local.world.responses import CLICK, Acts, respond
from infra.local.world.tecd import Scene
from infra.local.world.truth import opening_probability

USERS = 6_000
PLAN = Plan(users=USERS, days=30, seed=5, last_date=date(2026, 3, 16), horizon_days=30)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return build_scene(PLAN)


def nobody_wants() -> Wants:
    none = np.array([], dtype=np.int64)
    return wants_of(none, none)


def wants_of(users: np.ndarray, families: np.ndarray) -> Wants:
    rows = IntentRows(users, families.astype(np.int8), np.zeros(len(users), dtype=np.int16))
    return todays_wants(np.random.default_rng(0), rows, parameters(), users=USERS)


@dataclass(frozen=True)
class Seen:
    visits: Visits
    choices: Choices
    acts: Acts

    def topics(self, where: np.ndarray, topic: int) -> float:
        """Share of visits of some users that are about a topic."""
        return float((self.choices.topic[where[self.visits.user]] == topic).mean())


def look(scene: Scene, wants: Wants, domain: Domain, *, day: int = 3) -> Seen:
    rng = PLAN.rng("test", day)
    shelf = scene.universe.shelves[domain]
    visits = scene.visits(rng, domain, day)
    choices = draw_items(rng, scene.people, wants, visits, shelf=shelf, params=scene.params, day=day)
    return Seen(visits, choices, respond(rng, scene.people, visits, choices, shelf=shelf, params=scene.params))


@pytest.mark.parametrize("domain", [Domain.MARKETPLACE, Domain.RETAIL, Domain.OFFERS])
def test_a_taste_shows_in_every_domain(scene: Scene, domain: Domain) -> None:
    seen = look(scene, nobody_wants(), domain)
    for topic in range(len(scene.params.tastes)):
        taste = scene.people.taste[:, topic]
        keen, cool = taste > np.quantile(taste, 0.8), taste < np.quantile(taste, 0.2)
        assert seen.topics(keen, topic) > 2 * seen.topics(cool, topic)


def test_who_wants_a_product_looks_for_what_goes_with_it(scene: Scene) -> None:
    mortgage = [family.value for family in scene.params.families].index("mortgage")
    half = np.arange(0, USERS, 2)
    seen = look(scene, wants_of(half, np.full(len(half), mortgage)), Domain.MARKETPLACE)
    wanting = np.zeros(USERS, dtype=bool)
    wanting[half] = True
    home = scene.params.taste_names.index("home")
    assert seen.topics(wanting, home) > 1.8 * seen.topics(~wanting, home)


def test_users_return_to_their_favourites(scene: Scene) -> None:
    pairs = [set() for _ in range(2)]
    for at, day in enumerate((3, 4)):
        seen = look(scene, nobody_wants(), Domain.OFFERS, day=day)
        pairs[at] = set(zip(seen.visits.user.tolist(), seen.choices.item.tolist(), strict=True))
    users = {user for user, _ in pairs[0]} & {user for user, _ in pairs[1]}
    again = sum(user in users for user, _ in pairs[0] & pairs[1])
    there = sum(user in users for user, _ in pairs[1])
    assert again / there > 0.08  # by chance it would be about one in a hundred


def test_what_suits_is_clicked_more(scene: Scene) -> None:
    seen = look(scene, nobody_wants(), Domain.OFFERS)
    clicked = seen.acts.action == CLICK
    users, items = seen.acts.user[clicked], seen.acts.item[clicked]
    shelf = scene.universe.shelves[Domain.OFFERS]
    own = scene.people.style[users, shelf.topic[items]] == shelf.style[items]
    taste = scene.people.taste[users, shelf.topic[items]]
    assert own.mean() > seen.choices.own_style.mean() + 0.07
    assert taste.mean() > scene.people.taste[seen.visits.user, seen.choices.topic].mean() + 0.2


def test_a_few_items_are_seen_by_many(scene: Scene) -> None:
    seen = look(scene, nobody_wants(), Domain.MARKETPLACE)
    views = np.sort(np.bincount(seen.choices.item, minlength=len(scene.universe.shelves[Domain.MARKETPLACE])))[::-1]
    assert views[: len(views) // 10].sum() > 0.4 * views.sum()


@pytest.mark.parametrize(
    ("product_id", "taste"),
    [
        ("insurance_osago", "auto"),
        ("card_debit_travel", "travel"),
        ("card_kids", "kids"),
        ("invest_broker", "finance"),
        ("mortgage_family", "kids"),
    ],
)
def test_tastes_tell_what_is_opened(scene: Scene, product_id: str, taste: str) -> None:
    """So partner behaviour, which shows tastes, tells about bank products."""
    reference = read_reference(PLAN)
    offering = build_offering(reference.catalogue, reference.rules, scene.params)
    lived = live(scene.people, offering, PLAN, number=0, until=PLAN.days)
    chance = opening_probability(lived.minds, lived.review, offering, day=PLAN.days, horizon=30)
    product, cause = offering.product_number(product_id), scene.params.taste_names.index(taste)
    listed = lived.review.permitted[:, product]
    own, everyone = scene.people.taste[listed, cause], chance[listed, product]
    keen = own > np.quantile(own, 0.75)
    assert everyone[keen].mean() > 1.5 * everyone[~keen].mean()
