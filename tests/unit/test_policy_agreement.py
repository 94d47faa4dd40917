"""The policy against an independent, slow reading of the same rules, on random catalogues, rules and people."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.policy import Drop, compile_policy, decide, kept, standing_drops
from data_contracts.vocabulary import Channel
from tests.policy_checker import Checker
from tests.policy_worlds import TODAY, as_items, as_users, catalogues, people, rule_sets


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    catalogue = draw(catalogues())
    ids = [product.product_id for product in catalogue.products]
    rules = draw(rule_sets(catalogue))
    blocks = frozenset(draw(st.lists(st.sampled_from(ids), max_size=1))) if ids else frozenset()
    crowd = draw(st.lists(people(catalogue), min_size=1, max_size=4))
    ranked = st.lists(st.sampled_from(ids), max_size=12) if ids else st.just([])
    lists = [draw(ranked) for _ in crowd]
    return catalogue, rules, blocks, crowd, lists


@settings(max_examples=250, deadline=None)
@given(cases(), st.sampled_from([None, *Channel]), st.integers(1, 12))
def test_policy_and_checker_show_the_same(case: tuple, channel: Channel | None, top_k: int) -> None:
    catalogue, rules, blocks, crowd, lists = case
    policy = compile_policy(catalogue, rules, today=TODAY, blocks=blocks)
    checker = Checker(catalogue, rules, TODAY, blocks)
    decision = decide(policy, as_users(crowd, policy), as_items(lists, policy), channel=channel, top_k=top_k)
    for row, (person, ranked) in enumerate(zip(crowd, lists, strict=True)):
        shown = [one for one, kept in zip(ranked, decision.keep[row], strict=False) if kept]
        assert shown == checker.shown(person, ranked, channel=channel, top_k=top_k)
        assert checker.violations(person, shown, channel=channel, top_k=top_k) == []


@settings(max_examples=50, deadline=None)
@given(cases(), st.sampled_from([None, *Channel]))
def test_standing_drops_are_what_is_wrong_with_a_list_of_one(case: tuple, channel: Channel | None) -> None:
    catalogue, rules, blocks, crowd, _ = case
    policy = compile_policy(catalogue, rules, today=TODAY, blocks=blocks)
    checker = Checker(catalogue, rules, TODAY, blocks)
    drops = standing_drops(policy, as_users(crowd, policy), channel=channel)
    for row, person in enumerate(crowd):
        for position, product_id in enumerate(policy.product_ids):
            objections = checker.objections(person, product_id, [], channel=channel)
            assert (drops[row, position] == Drop.NONE) == (objections == [])


@settings(max_examples=100, deadline=None)
@given(cases(), st.sampled_from([None, *Channel]))
def test_deciding_for_a_crowd_is_deciding_for_each(case: tuple, channel: Channel | None) -> None:
    """Few users are gone through one by one, many at once."""
    catalogue, rules, blocks, crowd, lists = case
    policy = compile_policy(catalogue, rules, today=TODAY, blocks=blocks)
    users, items = as_users(crowd, policy), as_items(lists, policy)
    most, many = np.arange(1, len(crowd) + 1), np.tile(np.arange(len(crowd)), 20)
    together = decide(policy, users[many], items[many], channel=channel, top_k=most[many])
    for row in range(len(crowd)):
        one = slice(row, row + 1)
        alone = decide(policy, users[one], items[one], channel=channel, top_k=row + 1)
        assert (together.reason[row :: len(crowd)] == alone.reason[0]).all()
        assert (together.keep[row :: len(crowd)] == alone.keep[0]).all()
    assert np.array_equal(kept(policy, users, items, channel=channel, top_k=most), together.keep[: len(crowd)])
