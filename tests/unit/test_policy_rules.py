"""Each rule by name: the case it exists for, and the reason it gives."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.catalogue import Catalogue, Eligibility, LocalText, Prerequisite, Product, Prohibition, Rules
from data_contracts.policy import Drop, Users, compile_policy, decide, decide_offers, may_profile, policy_hash
from data_contracts.vocabulary import Channel, Employment, Family
from tests.policy_checker import Person
from tests.policy_worlds import as_items, as_users

TODAY = date(2026, 3, 16)
EVERYTHING = frozenset({"mobile", "web", "crm", "profiling"})
SOMEONE = Person(birth_year=1990, income_band=2, score_band=2, arrears_days=0, agrees_to=EVERYTHING, is_customer=True)


def product(product_id: str, family: Family = Family.CARD, **more: object) -> Product:
    defaults = {"name": LocalText(en=product_id, ru=product_id), "value": 1.0, "channels": tuple(Channel)}
    return Product(product_id=product_id, family=family, **(defaults | more))


def drops(
    products: Sequence[Product],
    ranked: Sequence[str],
    *,
    person: Person = SOMEONE,
    rules: Rules | None = None,
    channel: Channel | None = None,
    top_k: int = 20,
) -> list[Drop]:
    rules = rules or Rules(version="1", default_family_cap=9)
    policy = compile_policy(Catalogue(version="1", products=tuple(products)), rules, today=TODAY)
    users, items = as_users([person], policy), as_items([ranked], policy)
    decision = decide(policy, users, items, channel=channel, top_k=top_k)
    assert np.array_equal(decision.keep, decision.reason == Drop.NONE)
    return [Drop(reason) for reason in decision.reason[0]]


@pytest.mark.parametrize(
    ("dates", "drop"),
    [
        ({"on_sale_from": date(2026, 3, 16), "on_sale_to": date(2026, 3, 16)}, Drop.NONE),
        ({"on_sale_from": date(2026, 3, 17)}, Drop.NOT_SOLD),
        ({"on_sale_to": date(2026, 3, 15)}, Drop.NOT_SOLD),
    ],
)
def test_a_product_is_shown_from_its_first_day_of_sale_to_its_last(dates: dict, drop: Drop) -> None:
    assert drops([product("a", **dates)], ["a"]) == [drop]


def test_a_held_product_is_never_shown() -> None:
    holder = Person(held=frozenset({"a"}), agrees_to=EVERYTHING)
    assert drops([product("a"), product("b")], ["a", "b"], person=holder) == [Drop.HELD, Drop.NONE]


def test_a_blocked_product_is_never_shown() -> None:
    assert drops([product("a")], ["a"], rules=Rules(version="1", blocked_items=("a",))) == [Drop.BLOCKED]


@pytest.mark.parametrize(
    ("bounds", "drop"),
    [
        (Eligibility(min_age=35), Drop.NONE),  # born 1990: 35 or 36 in 2026
        (Eligibility(min_age=36), Drop.NOT_ELIGIBLE),
        (Eligibility(max_age=36), Drop.NONE),
        (Eligibility(max_age=35), Drop.NOT_ELIGIBLE),
        (Eligibility(min_income_band=3), Drop.NOT_ELIGIBLE),
        (Eligibility(max_score_band=1), Drop.NOT_ELIGIBLE),
        (Eligibility(max_arrears_days=0), Drop.NONE),
        (Eligibility(regions=(77,)), Drop.NOT_ELIGIBLE),  # the region is unknown
        (Eligibility(employment=(Employment.EMPLOYED,)), Drop.NOT_ELIGIBLE),  # so is the employment
    ],
)
def test_bounds_admit_only_who_certainly_fits(bounds: Eligibility, drop: Drop) -> None:
    assert drops([product("a", eligibility=bounds)], ["a"]) == [drop]


def test_arrears_beyond_every_bound_are_too_many() -> None:
    person = Person(birth_year=1990, arrears_days=300, agrees_to=EVERYTHING)
    strict = product("a", eligibility=Eligibility(max_arrears_days=30))
    assert drops([strict, product("b")], ["a", "b"], person=person) == [Drop.NOT_ELIGIBLE, Drop.NONE]


def test_a_prohibition_holds_both_ways_for_held_and_for_placed_products() -> None:
    rules = Rules(
        version="1", default_family_cap=9, prohibitions=(Prohibition(left="a", right="loan", why="overdebt"),)
    )
    products = [product("a"), product("l1", Family.LOAN), product("l2", Family.LOAN)]
    assert drops(products, ["a", "l1"], rules=rules) == [Drop.NONE, Drop.PROHIBITED_WITH_PLACED]
    assert drops(products, ["l2", "a", "l1"], rules=rules) == [Drop.NONE, Drop.PROHIBITED_WITH_PLACED, Drop.NONE]
    holder = Person(held=frozenset({"l1"}), agrees_to=EVERYTHING)
    assert drops(products, ["a", "l2"], rules=rules, person=holder) == [Drop.PROHIBITED_WITH_HELD, Drop.NONE]


def test_a_dropped_product_prohibits_nothing() -> None:
    rules = Rules(version="1", default_family_cap=9, prohibitions=(Prohibition(left="a", right="b", why="x"),))
    gone = product("a", on_sale_to=date(2020, 1, 1))
    assert drops([gone, product("b")], ["a", "b"], rules=rules) == [Drop.NOT_SOLD, Drop.NONE]


def test_a_prerequisite_is_met_by_a_product_or_by_any_of_a_family() -> None:
    rules = Rules(version="1", prerequisites=(Prerequisite(product_id="a", any_of=("b", "deposit")),))
    products = [product("a"), product("b"), product("d", Family.DEPOSIT)]
    assert drops(products, ["a"], rules=rules) == [Drop.MISSING_PREREQUISITE]
    for held in ("b", "d"):
        holder = Person(held=frozenset({held}), agrees_to=EVERYTHING)
        assert drops(products, ["a"], rules=rules, person=holder) == [Drop.NONE]


def test_a_family_shows_no_more_than_its_cap() -> None:
    rules = Rules(version="1", default_family_cap=1, family_caps={Family.LOAN: 2})
    products = [product("c1"), product("c2"), *(product(f"l{number}", Family.LOAN) for number in range(3))]
    ranked = ["l0", "c1", "l1", "l2", "c2"]
    expected = [Drop.NONE, Drop.NONE, Drop.NONE, Drop.FAMILY_CAP, Drop.FAMILY_CAP]
    assert drops(products, ranked, rules=rules) == expected


def test_no_item_is_shown_twice_and_no_more_than_top_k() -> None:
    products = [product("a"), product("b"), product("c")]
    assert drops(products, ["a", "a", "b", "c"], top_k=2) == [Drop.NONE, Drop.REPEATED, Drop.NONE, Drop.BEYOND_TOP_K]


def test_channel_rules_speak_only_in_a_channel() -> None:
    products = [product("a", channels=(Channel.WEB,))]
    assert drops(products, ["a"], channel=None) == [Drop.NONE]
    assert drops(products, ["a"], channel=Channel.WEB) == [Drop.NONE]
    assert drops(products, ["a"], channel=Channel.MOBILE) == [Drop.CHANNEL]
    silent = Person(birth_year=1990, agrees_to=frozenset({"web"}))
    assert drops(products, ["a"], channel=Channel.CRM, person=silent) == [Drop.NO_CONSENT]


def test_who_is_unknown_gets_only_what_is_safe_for_anyone() -> None:
    adult = Eligibility(min_age=18)
    products = [product("a"), product("b", safe_for_anyone=True, eligibility=adult)]
    assert drops(products, ["a", "b"], person=Person(), channel=Channel.WEB) == [Drop.NOT_SAFE, Drop.NONE]
    assert drops(products, ["a", "b"], person=Person(), channel=Channel.CRM) == [Drop.NOT_SAFE, Drop.NO_CONSENT]


def test_a_customer_without_any_attribute_or_consent_is_known_and_silent() -> None:
    erased = Person(is_customer=True)
    safe = product("b", safe_for_anyone=True)
    assert drops([safe], ["b"], person=erased, channel=Channel.MOBILE) == [Drop.NO_CONSENT]


def test_only_consent_opens_a_personal_list_to_a_known_user() -> None:
    policy = compile_policy(Catalogue(version="1", products=()), Rules(version="1"), today=TODAY)
    crowd = [Person(), SOMEONE, Person(birth_year=1990, agrees_to=frozenset({"mobile"}))]
    assert may_profile(as_users(crowd, policy)).tolist() == [True, True, False]


def offer_drops(
    items: list[int], users: Users, *, blocked: set[int], channel: Channel | None, top_k: int
) -> list[Drop]:
    stopped = np.array([code in blocked for code in range(10)])
    decision = decide_offers(users, np.array([items], np.int32), blocked=stopped, channel=channel, top_k=top_k)
    assert np.array_equal(decision.keep[0], (decision.reason[0] == 0) & (np.array(items) >= 0))
    return [Drop(reason) for reason in decision.reason[0]]


def test_offers_know_blocks_repeats_consents_and_top_k() -> None:
    policy = compile_policy(Catalogue(version="1", products=()), Rules(version="1"), today=TODAY)
    users = as_users([Person(agrees_to=frozenset({"web"}))], policy)
    expected = [Drop.NONE, Drop.BLOCKED, Drop.REPEATED, Drop.NONE, Drop.BEYOND_TOP_K, Drop.NONE]
    assert offer_drops([5, 9, 5, 2, 1, -1], users, blocked={9}, channel=Channel.WEB, top_k=2) == expected
    assert offer_drops([5], users, blocked=set(), channel=Channel.MOBILE, top_k=2) == [Drop.NO_CONSENT]
    assert offer_drops([5], users, blocked=set(), channel=None, top_k=2) == [Drop.NONE]


@given(st.lists(st.integers(-1, 6), min_size=1, max_size=12), st.sets(st.integers(0, 6)), st.integers(1, 5))
def test_offers_are_the_first_distinct_ones_that_are_not_blocked(items: list, blocked: set, top_k: int) -> None:
    users = Users.unknown(1, products=0)
    result = offer_drops(items, users, blocked=blocked, channel=Channel.MOBILE, top_k=top_k)
    shown = [item for item, drop in zip(items, result, strict=True) if item >= 0 and drop == Drop.NONE]
    assert shown == [item for item in dict.fromkeys(items) if item >= 0 and item not in blocked][:top_k]


def test_the_hash_changes_with_everything_that_decides_and_with_nothing_else() -> None:
    catalogue = Catalogue(version="1", products=(product("a"), product("b")))
    turned = Catalogue(version="1", products=(product("b"), product("a")))
    rules = Rules(version="1")
    base = policy_hash(catalogue, rules, {"x", "y"})
    assert base == policy_hash(turned, rules, ["y", "x"])
    others = [
        policy_hash(catalogue, rules, {"x"}),
        policy_hash(catalogue, Rules(version="2"), {"x", "y"}),
        policy_hash(Catalogue(version="1", products=(product("a"),)), rules, {"x", "y"}),
    ]
    assert len({base, *others}) == 4
