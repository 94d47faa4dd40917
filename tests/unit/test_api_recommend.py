"""Which items a question gets, from which tier, in which order."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.answers import reason_codes
from api.layout import Question, UserData, laid_out
from api.recommend import Reply, recommend
from api.serving import NO_RULES, NO_SCORE, Serving, Snapshot
from api.store import FallbackLists, Lists, Ranked, UserState
from data_contracts.context import NO_CONTEXT, Context
from data_contracts.context.kinds import GOES_WITH_CHOSEN
from data_contracts.vocabulary import Channel, Family, Kind, Placement, Screen, Tier, Variant
from tests.day_world import (
    ALICE,
    CAROL,
    CATALOGUE,
    DAVE,
    FALLBACK,
    FIRST,
    LISTS,
    NOW,
    PRODUCTS,
    RULE_SET,
    RULES,
    STATES,
    STRANGER,
    items_table,
    ranked,
)
from tests.policy_checker import Checker, Person

TODAY = NOW.date()
SERVING = Serving.of(Snapshot(FIRST, items_table(), FALLBACK, is_whole=True), RULE_SET, frozenset(), today=TODAY)
DATA = UserData(STATES, LISTS)


def asked(
    user_id: int,
    *,
    channel: Channel = Channel.WEB,
    kind: Kind = Kind.PRODUCT,
    top_k: int = 10,
    data: UserData | None = DATA,
    serving: Serving = SERVING,
) -> Reply:
    (reply,) = recommend(serving, [Question(user_id, channel, kind, top_k)], data)
    return reply


def ids(reply: Reply, kind: Kind = Kind.PRODUCT) -> list[str]:
    names = PRODUCTS if kind is Kind.PRODUCT else reply.serving.snapshot.items["item_id"].to_pylist()
    return [names[shown.index] for shown in reply.shown]


def test_a_personal_list_comes_first_and_the_next_tiers_fill_it_up() -> None:
    reply = asked(ALICE)
    assert ids(reply) == [
        "loan_cash",
        "card_gold",
        "cashback_all",
        "insurance_travel",
        "savings_daily",
        "deposit_year",
    ]
    assert [shown.tier for shown in reply.shown] == [Tier.PERSONAL] * 2 + [Tier.SEGMENT] * 2 + [Tier.STATIC] * 2
    assert (reply.tier, reply.variant) == (Tier.PERSONAL, Variant.PERSONAL)
    assert reply.shown[-1].score == NO_SCORE


def test_a_short_answer_is_the_head_of_a_long_one() -> None:
    assert ids(asked(ALICE, top_k=3)) == ids(asked(ALICE))[:3]


def test_who_is_not_profiled_gets_the_segments_list_even_if_a_personal_one_lies_there() -> None:
    reply = asked(CAROL)
    assert (reply.tier, reply.variant) == (Tier.SEGMENT, Variant.SEGMENT)
    assert "mortgage_new" not in ids(reply)


def test_who_refuses_a_channel_gets_nothing_in_it() -> None:
    assert ids(asked(CAROL, channel=Channel.CRM)) == []
    assert ids(asked(CAROL, channel=Channel.CRM, kind=Kind.OFFER), Kind.OFFER) == []


def test_a_product_of_another_channel_is_left_out() -> None:
    assert "cashback_all" in ids(asked(ALICE, channel=Channel.WEB))
    assert "cashback_all" not in ids(asked(ALICE, channel=Channel.MOBILE))


@pytest.mark.parametrize("user_id", [DAVE, STRANGER])
def test_who_is_unknown_gets_popular_items_that_are_safe_for_anyone(user_id: int) -> None:
    reply = asked(user_id)
    assert ids(reply) == ["card_debit", "savings_daily", "deposit_year"]
    assert reply.tier is Tier.POPULAR


def test_without_the_database_everyone_is_unknown_and_answered_from_memory() -> None:
    reply = asked(ALICE, data=None)
    assert ids(reply) == ["card_debit", "savings_daily", "deposit_year"]
    assert {shown.tier for shown in reply.shown} == {reply.tier} == {Tier.STATIC}


def test_offers_fill_up_in_the_same_way_without_repeating() -> None:
    reply = asked(ALICE, kind=Kind.OFFER)
    assert ids(reply, Kind.OFFER) == ["offer_a", "offer_b", "offer_c", "offer_d", "offer_e"]


def test_blocked_items_are_left_out_of_every_tier() -> None:
    blocks = frozenset({"card_gold", "savings_daily", "offer_a", "offer_d"})
    serving = Serving.of(SERVING.snapshot, RULE_SET, blocks, today=TODAY)
    for data in (DATA, None):
        shown = ids(asked(ALICE, serving=serving, data=data))
        shown += ids(asked(ALICE, serving=serving, data=data, kind=Kind.OFFER), Kind.OFFER)
        assert shown
        assert not blocks & set(shown)


def test_a_product_that_left_the_catalogue_is_neither_shown_nor_in_the_way() -> None:
    smaller = CATALOGUE.model_copy(
        update={"products": tuple(one for one in CATALOGUE.products if one.product_id != "card_debit")}
    )
    rule_set = type(RULE_SET)(smaller, RULES, RULE_SET.reasons)
    serving = Serving.of(SERVING.snapshot, rule_set, frozenset(), today=TODAY)
    reply = asked(ALICE, serving=serving)
    shown = [serving.policy.product_ids[one.index] for one in reply.shown]
    assert shown == ids(asked(ALICE))


def test_an_empty_world_gives_an_empty_answer() -> None:
    nothing = Serving.of(Snapshot(), NO_RULES, frozenset(), today=TODAY)
    for kind in Kind:
        reply = asked(ALICE, serving=nothing, data=None, kind=kind)
        assert (reply.shown, reply.tier) == ((), Tier.STATIC)


lists = st.lists(st.sampled_from(PRODUCTS), max_size=8, unique=True).map(lambda chosen: ranked(*chosen))
states = st.builds(
    UserState,
    segment=st.integers(0, 3),
    holdings=st.lists(st.integers(0, len(PRODUCTS) - 1), max_size=3, unique=True),
    birth_year=st.sampled_from([0, 1960, 2008]),
    consents=st.integers(0, 31),
)


ids_of_any = st.sampled_from([*PRODUCTS, "unknown"])
contexts = st.just(NO_CONTEXT) | st.builds(
    Context,
    screen=st.none() | st.sampled_from(Screen),
    placement=st.none() | st.sampled_from(Placement),
    search=st.none() | st.sampled_from(Family),
    cart=st.lists(ids_of_any, max_size=3).map(tuple),
    basket_product=st.none() | ids_of_any,
)
questions = st.builds(
    Question,
    user_id=st.integers(0, 6),
    channel=st.sampled_from(list(Channel)),
    kind=st.just(Kind.PRODUCT),
    top_k=st.integers(1, 9),
    context=contexts,
)


@dataclass(frozen=True)
class Day:
    states: dict[int, UserState]
    personal: dict[int, Ranked]
    popular: Ranked
    segments: dict[int, Ranked]
    questions: list[Question]
    blocks: frozenset[str]
    is_up: bool

    @property
    def serving(self) -> Serving:
        segments = {segment: Lists(one) for segment, one in self.segments.items()}
        snapshot = Snapshot(FIRST, items_table(), FallbackLists(Lists(self.popular), segments), is_whole=True)
        return Serving.of(snapshot, RULE_SET, self.blocks, today=TODAY)

    @property
    def data(self) -> UserData | None:
        return UserData(self.states, {user: Lists(one) for user, one in self.personal.items()}) if self.is_up else None

    def offered_to_all(self, state: UserState) -> set[str]:
        segment = self.segments.get(state.segment, Ranked()) if self.is_up else Ranked()
        return {*as_ids(self.popular), *as_ids(segment), *RULES.static_popular}


days = st.builds(
    Day,
    states=st.dictionaries(st.integers(0, 5), states),
    personal=st.dictionaries(st.integers(0, 5), lists),
    popular=lists,
    segments=st.dictionaries(st.integers(0, 3), lists),
    questions=st.lists(questions, min_size=1, max_size=6),
    blocks=st.sets(st.sampled_from(PRODUCTS), max_size=1).map(frozenset),
    is_up=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(days)
def test_any_batch_breaks_no_rule_and_leaves_no_place_empty_that_could_be_filled(day: Day) -> None:
    checker = Checker(CATALOGUE, RULES, TODAY, day.blocks)
    for question, reply in zip(day.questions, recommend(day.serving, day.questions, day.data), strict=True):
        state = day.states.get(question.user_id, UserState()) if day.is_up else UserState()
        person, shown = as_person(state), ids(reply)
        assert checker.violations(person, shown, channel=question.channel, top_k=question.top_k) == []
        if len(shown) < question.top_k:
            offered = day.offered_to_all(state)
            assert [
                one for one in offered if not checker.objections(person, one, shown, channel=question.channel)
            ] == []


@settings(max_examples=60, deadline=None)
@given(days, contexts)
def test_a_context_changes_the_order_of_what_may_be_shown_and_nothing_else(day: Day, context: Context) -> None:
    serving = day.serving
    plain = [replace(one, context=NO_CONTEXT) for one in day.questions]
    asked = [replace(one, context=context) for one in day.questions]
    before, after = (laid_out(serving, one, Kind.PRODUCT, day.data) for one in (plain, asked))
    for was, now in zip(before.laid, after.laid, strict=True):
        assert sorted(now.arranged, key=str) == sorted(was.arranged, key=str)
    for reply in recommend(serving, asked, day.data):
        assert len(set(ids(reply))) == len(ids(reply))


@settings(max_examples=60, deadline=None)
@given(days, st.sampled_from(Placement), st.integers(1, 9))
def test_a_placement_mixes_what_each_kind_would_answer_alone(day: Day, placement: Placement, top_k: int) -> None:
    context = Context(placement=placement)
    for question in day.questions:
        mixed = replace(question, kind=None, context=context, top_k=top_k)
        (reply,) = recommend(day.serving, [mixed], day.data)
        for kind in Kind:
            (alone,) = recommend(day.serving, [replace(mixed, kind=kind)], day.data)
            part = tuple(one for one in reply.shown if one.kind is kind)
            assert part == alone.shown[: len(part)]
            assert kind in mixed.kinds or not part
        assert len(reply.shown) <= top_k


def test_an_item_that_the_basket_calls_for_comes_up_and_says_why_with_the_score_it_had() -> None:
    usual = {one.index: one for one in asked(ALICE).shown}
    question = Question(ALICE, Channel.WEB, Kind.PRODUCT, 10, context=Context(basket_product="loan_cash"))
    (reply,) = recommend(SERVING, [question], DATA)
    assert ids(reply)[:4] == ["loan_cash", "card_gold", "insurance_travel", "cashback_all"]
    for one in reply.shown:
        was = usual[one.index]
        assert (one.score, one.tier) == (was.score, was.tier)
        is_raised = PRODUCTS[one.index] == "insurance_travel"
        assert reason_codes(one.reasons) == ([GOES_WITH_CHOSEN, 1] if is_raised else reason_codes(was.reasons))


def test_without_consent_to_profiling_what_is_held_raises_nothing() -> None:
    held, silent = UserState(segment=1, holdings=[PRODUCTS.index("mortgage_new")], consents=31), 1 | 2 | 4 | 16
    for state, raises in ((held, True), (replace(held, consents=silent), False)):
        layout = laid_out(SERVING, [Question(9, Channel.WEB, None, 9)], Kind.PRODUCT, UserData({9: state}, {}))
        assert bool(layout.emphasis.boosts.any()) is raises


def test_what_the_night_knew_to_be_held_raises_nothing_in_the_list_it_made() -> None:
    state = UserState(segment=1, holdings=[PRODUCTS.index("mortgage_new")], consents=31)
    for lists, raises in (({}, True), ({9: DATA.lists[ALICE]}, False)):
        layout = laid_out(SERVING, [Question(9, Channel.WEB, None, 9)], Kind.PRODUCT, UserData({9: state}, lists))
        assert bool(layout.emphasis.boosts.any()) is raises


def as_ids(one: Ranked) -> list[str]:
    return [PRODUCTS[code] for code in one.items]


def as_person(state: UserState) -> Person:
    bits = {"mobile": 1, "web": 2, "crm": 4, "profiling": 8}
    return Person(
        held=frozenset(PRODUCTS[code] for code in state.holdings),
        birth_year=state.birth_year or None,
        agrees_to=frozenset(name for name, bit in bits.items() if state.consents & bit),
        is_customer=bool(state.consents & 16),
    )
