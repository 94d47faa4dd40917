"""Hypothesis strategies for catalogues, rules and people, and people as the policy's arrays."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from hypothesis import strategies as st

from data_contracts.catalogue import Catalogue, Eligibility, LocalText, Prerequisite, Product, Prohibition, Rules
from data_contracts.policy import CompiledPolicy, Users, employment_codes, holdings_matrix
from data_contracts.vocabulary import Channel, Employment, Family
from tests.policy_checker import Person

TODAY = date(2026, 3, 16)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


def some(values: Sequence, *, least: int = 0) -> st.SearchStrategy:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True).map(tuple)


eligibilities = st.builds(
    Eligibility,
    min_age=maybe(st.integers(15, 40)),
    max_age=maybe(st.integers(30, 70)),
    min_income_band=maybe(st.integers(0, 4)),
    max_score_band=maybe(st.integers(1, 5)),
    max_arrears_days=maybe(st.integers(0, 10)),
    employment=maybe(some(list(Employment))),
    regions=maybe(some(range(5))),
)
days = st.integers(-2, 2).map(lambda days: TODAY + timedelta(days=days))


def products(product_id: str) -> st.SearchStrategy[Product]:
    return st.builds(
        Product,
        product_id=st.just(product_id),
        family=st.sampled_from(list(Family)[:4]),
        name=st.just(LocalText(en=product_id, ru=product_id)),
        value=st.just(1.0),
        channels=some(list(Channel), least=1),
        eligibility=st.just(Eligibility()) | eligibilities,
        on_sale_from=maybe(days),
        on_sale_to=maybe(days),
        safe_for_anyone=st.booleans(),
    )


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    count = draw(st.integers(0, 9) | st.just(70))
    drawn = [draw(products(f"p{number:02}")) for number in range(min(count, 9))]
    # More products than bits in a word, without drawing each of them.
    rest = [drawn[number % 9].model_copy(update={"product_id": f"p{number:02}"}) for number in range(9, count)]
    return Catalogue(version="1", products=tuple(drawn + rest))


@st.composite
def rule_sets(draw: st.DrawFn, catalogue: Catalogue) -> Rules:
    ids = [product.product_id for product in catalogue.products]
    names = ids + [str(family) for family in Family][:4]
    prohibitions = st.builds(
        Prohibition, left=st.sampled_from(names), right=st.sampled_from(names), why=st.just("because")
    )
    needing = draw(st.lists(st.sampled_from(ids), max_size=3, unique=True)) if ids else []
    return Rules(
        version="1",
        prohibitions=tuple(draw(st.lists(prohibitions, max_size=4))),
        prerequisites=tuple(Prerequisite(product_id=one, any_of=draw(some(names, least=1))) for one in needing),
        default_family_cap=draw(st.integers(1, 3)),
        family_caps=draw(st.dictionaries(st.sampled_from(list(Family)[:4]), st.integers(1, 4), max_size=2)),
        blocked_items=draw(some(ids)) if ids else (),
    )


def people(catalogue: Catalogue) -> st.SearchStrategy[Person]:
    ids = [product.product_id for product in catalogue.products]
    known = st.builds(
        Person,
        held=(some(ids) if ids else st.just(())).map(frozenset),
        birth_year=maybe(st.integers(1940, 2012)),
        region=maybe(st.integers(0, 7)),
        income_band=maybe(st.integers(0, 4)),
        employment=maybe(st.sampled_from([str(word) for word in Employment])),
        score_band=maybe(st.integers(1, 5)),
        arrears_days=maybe(st.integers(0, 12)),
        agrees_to=some(["mobile", "web", "crm", "profiling"]).map(frozenset),
        is_customer=st.booleans(),
    )
    return st.just(Person()) | known


_BITS = {"mobile": 1, "web": 2, "crm": 4, "profiling": 8}


def as_users(people: Sequence[Person], policy: CompiledPolicy) -> Users:
    pairs = [(row, policy.position[held]) for row, person in enumerate(people) for held in person.held]
    rows, positions = zip(*pairs, strict=True) if pairs else ((), ())
    return Users.from_state(
        holdings=holdings_matrix(rows, positions, users=len(people), products=policy.products),
        birth_year=[person.birth_year or 0 for person in people],
        region=[-1 if person.region is None else person.region for person in people],
        income_band=[-1 if person.income_band is None else person.income_band for person in people],
        employment=employment_codes(person.employment or "" for person in people),
        score_band=[person.score_band or 0 for person in people],
        arrears_days=[-1 if person.arrears_days is None else person.arrears_days for person in people],
        consents=[sum(_BITS[one] for one in person.agrees_to) + 16 * person.is_customer for person in people],
    )


def as_items(lists: Sequence[Sequence[str]], policy: CompiledPolicy) -> np.ndarray:
    """Ranked product ids as positions, padded with -1."""
    longest = max((len(one) for one in lists), default=0)
    items = np.full((len(lists), longest), -1, dtype=np.int32)
    for row, ranked in enumerate(lists):
        items[row, : len(ranked)] = [policy.position[product_id] for product_id in ranked]
    return items
