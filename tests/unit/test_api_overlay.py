"""Answers after events: suppressed items are out, boosted ones up, the policy sees what is held and agreed to now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.layout import Question, UserData
from api.overlay_changes import Changes
from api.recommend import Reply, recommend
from api.serving import Serving, Snapshot
from api.store import Found, Lists, UserState
from data_contracts.errors import UnavailableError
from data_contracts.overlay import EVENTS, KINDS, overlay, row_of
from data_contracts.overlay.kinds import CAMPAIGNS, FEEDBACK, PRODUCT_EVENTS, SUPPRESSIONS, TELEMETRY
from data_contracts.overlay.rows import micros
from data_contracts.settings import Settings
from data_contracts.suppressions import ALL, Terms, events_of, lifts_of
from data_contracts.suppressions import Suppression as OneSuppression
from data_contracts.vocabulary import Channel, Kind, Tier
from tests.day_world import (
    ALICE,
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
    FakeStore,
    items_table,
    ranked,
)
from tests.policy_checker import Checker, Person, Suppression
from tests.unit.test_overlay import Event, table

HOUR = 3_600_000_000
NOON = micros(NOW)
CUT_OFF = NOON - 12 * HOUR
TODAY = NOW.date()
SERVING = Serving.of(Snapshot(FIRST, items_table(), FALLBACK, is_whole=True), RULE_SET, frozenset(), today=TODAY)
USUAL = ["loan_cash", "card_gold", "cashback_all", "insurance_travel", "savings_daily", "deposit_year"]


def happened(topic: str, event_type: str, item_id: str = "", user_id: int = ALICE, **more: object) -> Event:
    given = {"event_time": NOON - HOUR, "event_id": f"{topic} {event_type} {item_id} {more}", **more}
    return Event(topic, event_type, item_id, user_id=user_id, **given)  # type: ignore[arg-type]


def asked(
    *events: Event,
    user_id: int = ALICE,
    channel: Channel = Channel.WEB,
    kind: Kind = Kind.PRODUCT,
    lists: dict[int, Lists] | None = None,
) -> Reply:
    changes = Changes.of(SERVING, overlay(table(*events), cut_off=CUT_OFF, now=NOON)) if events else None
    data = UserData(STATES, LISTS if lists is None else lists, changes)
    (reply,) = recommend(SERVING, [Question(user_id, channel, kind, 10)], data)
    return reply


def ids(reply: Reply, kind: Kind = Kind.PRODUCT) -> list[str]:
    names = PRODUCTS if kind is Kind.PRODUCT else reply.serving.snapshot.items["item_id"].to_pylist()
    return [names[shown.index] for shown in reply.shown]


def test_events_of_others_change_nothing() -> None:
    assert ids(asked(happened(FEEDBACK, "dismissed", "loan_cash", user_id=77))) == ids(asked()) == USUAL


@pytest.mark.parametrize("topic", [CAMPAIGNS, FEEDBACK])
def test_what_was_dismissed_is_out_and_makes_room_for_what_it_kept_out(topic: str) -> None:
    shown = ids(asked(happened(topic, "dismissed", "loan_cash")))
    assert "loan_cash" not in shown
    assert shown[0] == "mortgage_new"  # never shown beside a loan


def test_what_was_opened_is_held_and_so_is_what_it_prohibits() -> None:
    shown = ids(asked(happened(PRODUCT_EVENTS, "opened", "mortgage_new")))
    assert not {"mortgage_new", "loan_cash"} & set(shown)


def test_what_was_closed_may_be_shown_again() -> None:
    held = {ALICE: Lists(ranked("card_debit"))}
    assert "card_debit" not in ids(asked(lists=held))
    assert ids(asked(happened(PRODUCT_EVENTS, "closed", "card_debit"), lists=held))[0] == "card_debit"


def test_a_declined_application_takes_out_the_family() -> None:
    shown = ids(asked(happened(PRODUCT_EVENTS, "declined", "card_debit")))
    assert "card_gold" not in shown
    assert "loan_cash" in shown


@pytest.mark.parametrize("user_id", [ALICE, DAVE])
@pytest.mark.parametrize("kind", list(Kind))
def test_who_opted_out_of_a_channel_gets_nothing_in_it_known_or_not(user_id: int, kind: Kind) -> None:
    out = happened(FEEDBACK, "opted_out", user_id=user_id, channel="web")
    assert asked(user_id=user_id, kind=kind).shown
    assert not asked(out, user_id=user_id, kind=kind).shown
    assert asked(out, user_id=user_id, kind=kind, channel=Channel.MOBILE).shown


def test_a_suppression_holds_in_its_channel_of_an_item_a_family_or_everything() -> None:
    item = happened(SUPPRESSIONS, "product_suppressed", "card_gold", channel="crm")
    assert "card_gold" in ids(asked(item))
    assert "card_gold" not in ids(asked(item, channel=Channel.CRM))
    cards = happened(SUPPRESSIONS, "family_suppressed", channel="web", family="card")
    assert set(ids(asked())) - set(ids(asked(cards))) == {"card_gold"}
    assert "card_gold" not in ids(asked(item, cards))
    offer = happened(SUPPRESSIONS, "product_suppressed", "offer_a", channel="web")
    assert "offer_a" not in ids(asked(offer, kind=Kind.OFFER), Kind.OFFER)
    assert "offer_a" in ids(asked(offer, kind=Kind.OFFER, channel=Channel.MOBILE), Kind.OFFER)
    assert not asked(happened(SUPPRESSIONS, "channel_suppressed", channel="web")).shown


def test_who_is_unknown_stays_so_after_an_event() -> None:
    shown = ids(asked(happened(PRODUCT_EVENTS, "opened", "card_debit", user_id=DAVE), user_id=DAVE))
    assert shown == ["savings_daily", "deposit_year"]


def test_a_boost_moves_up_and_leaves_the_score_and_the_order_of_the_rest() -> None:
    views = [happened(TELEMETRY, "product_view", "cashback_all", event_id=str(number)) for number in range(9)]
    reply = asked(*views)
    assert ids(reply) == ["loan_cash", "card_gold", "cashback_all", "insurance_travel", "savings_daily", "deposit_year"]
    near = {ALICE: Lists(ranked("loan_cash", "card_gold", "savings_daily", "deposit_year"))}
    before = {shown.index: shown.score for shown in asked(lists=near).shown}
    reply = asked(happened(TELEMETRY, "product_view", "deposit_year"), lists=near)
    assert ids(reply)[:4] == ["deposit_year", "loan_cash", "card_gold", "savings_daily"]
    assert {shown.index: shown.score for shown in reply.shown} == before
    assert reply.tier is Tier.PERSONAL


def test_a_search_moves_up_its_family() -> None:
    near = {ALICE: Lists(ranked("loan_cash", "card_gold", "savings_daily"))}
    assert ids(asked(happened(TELEMETRY, "search", family="savings"), lists=near))[0] == "savings_daily"


def test_a_campaign_shown_too_often_moves_down() -> None:
    near = {ALICE: Lists(ranked("loan_cash", "card_gold", "savings_daily"))}
    shown = [happened(CAMPAIGNS, "shown", "loan_cash", event_id=str(number)) for number in range(3)]
    assert ids(asked(*shown, lists=near))[:3] == ["card_gold", "savings_daily", "loan_cash"]


def test_offers_are_suppressed_and_boosted_too() -> None:
    events = [happened(FEEDBACK, "dismissed", "offer_a"), happened(FEEDBACK, "clicked", "offer_c")]
    assert ids(asked(kind=Kind.OFFER), Kind.OFFER)[0] == "offer_a"
    assert ids(asked(*events, kind=Kind.OFFER), Kind.OFFER) == ["offer_c", "offer_b", "offer_d", "offer_e"]


def test_events_about_items_that_nobody_knows_do_no_harm() -> None:
    events = [happened(topic, event_type, "gone") for topic, event_type in {(k.topic, k.event_type) for k in KINDS}]
    assert ids(asked(*events, channel=Channel.MOBILE)) == ids(asked(channel=Channel.MOBILE))


def service(store: FakeStore, folder: object) -> TestClient:
    return TestClient(create_app(Settings(data_dir=folder, lookup_deadline_ms=5_000), store=store, clock=lambda: NOW))  # type: ignore[arg-type]


def answer(client: TestClient) -> tuple[str, list[str]]:
    found = client.get("/api/v1/recommendations", params={"user_id": ALICE, "channel": "web"}).json()
    return found["tier"], [item["product_id"] for item in found["recommendations"]]


def test_the_service_applies_what_its_store_has_of_the_user(tmp_path: object) -> None:
    store = FakeStore()
    with service(store, tmp_path) as client:
        assert answer(client) == ("personal", USUAL)
        store.events = table(happened(FEEDBACK, "dismissed", "loan_cash"))
        assert "loan_cash" not in answer(client)[1]


def test_without_events_the_answer_comes_from_memory_with_what_is_safe_for_anyone(tmp_path: object) -> None:
    class Eventless(FakeStore):
        async def look_up(self, snapshot_id: str, user_ids: Sequence[int], *, cut_off: int) -> Found:
            if user_ids == [0]:  # the watch, which touches every table once
                return Found()
            raise UnavailableError("no events now")

    with service(Eventless(), tmp_path) as client:
        assert answer(client) == ("static", ["card_debit", "savings_daily", "deposit_year"])


@st.composite
def told_to_stop(draw: st.DrawFn) -> list[tuple[Suppression, Event]]:
    """Suppressions, some lifted, some of them twice, in any order: as a person would say it, and as the event."""
    words = [("", ""), ("card_gold", ""), ("loan_cash", ""), ("", "card"), ("", "savings")]
    found = []
    for number in range(draw(st.integers(1, 5))):
        terms = Terms.model_validate(
            {"kind": "erasure_request"}
            if draw(st.integers(0, 9)) == 0
            else dict(zip(("product_id", "family"), (one or None for one in draw(st.sampled_from(words))), strict=True))
            | {"kind": "complaint", "channel": draw(st.sampled_from([ALL, *Channel]))}
        )
        one, name, lasts = OneSuppression(ALICE, terms), f"s{number}/0", draw(st.booleans())
        events = [*events_of(one, name=name, at=NOW), *([] if lasts else lifts_of(one, name=name, at=NOW))]
        found += [(_said(event, terms), _as_event(event)) for event in events]
    return draw(st.permutations([*found, *found[:1]]))


def _said(event: Mapping[str, Any], terms: Terms) -> Suppression:
    about = event["product_id"] or event["family"] or ""
    is_erasure = terms.is_erasure and not event["lifts"]
    return Suppression(event["event_id"], event["channel"], about, event["lifts"] or "", is_erasure)


def _as_event(event: Mapping[str, Any]) -> Event:
    row = row_of(SUPPRESSIONS, event, arrived=NOON, skew=0)
    assert row is not None
    return Event(**{name: getattr(row, name) for name in EVENTS.names})


@settings(max_examples=100, deadline=None)
@given(told_to_stop(), st.sampled_from(Channel))
def test_a_lift_ends_its_suppression_and_nothing_else_whatever_the_order(
    told: list[tuple[Suppression, Event]], channel: Channel
) -> None:
    lists = {ALICE: Lists(ranked(*USUAL))}
    shown = ids(asked(*(event for _, event in told), channel=channel, lists=lists))
    person = Person(agrees_to=frozenset(Channel), is_customer=True, told=tuple(word for word, _ in told))
    said = Checker(CATALOGUE, RULES, TODAY).violations(person, shown, channel=channel, top_k=10)
    assert not [one for one in said if one.endswith(": suppressed")]
    assert shown == ids(asked(*(event for word, event in told if word in person.heard), channel=channel, lists=lists))


def test_no_opt_in_and_no_lift_ends_an_erasure_whoever_wrote_the_event() -> None:
    old = {"event_id": "e", "event_time": NOON - HOUR, "user_id": ALICE, "event_type": "channel_suppressed"}
    erased = _as_event({**old, "channel": "web", "kind": "erasure_request"})
    lift = happened(SUPPRESSIONS, "suppression_lifted", "e", channel="web")
    opted_in = happened(FEEDBACK, "opted_in", channel="web", event_time=NOON)
    assert not asked(erased, lift, opted_in).shown
    assert asked(replace(erased, event_type="channel_suppressed"), lift, opted_in).shown


states = st.builds(
    UserState,
    segment=st.integers(0, 2),
    holdings=st.lists(st.integers(0, len(PRODUCTS) - 1), max_size=2, unique=True),
    birth_year=st.sampled_from([0, 1960, 2008]),
    consents=st.integers(0, 31),
)
opened_or_out = st.lists(
    st.one_of(
        st.sampled_from(PRODUCTS).map(lambda item: happened(PRODUCT_EVENTS, "opened", item)),
        st.sampled_from(list(Channel)).map(lambda channel: happened(FEEDBACK, "opted_out", channel=channel.value)),
        st.sampled_from(PRODUCTS).map(lambda item: happened(TELEMETRY, "product_view", item)),
        st.sampled_from(PRODUCTS).map(lambda item: happened(FEEDBACK, "dismissed", item)),
    ),
    max_size=5,
)


@settings(max_examples=100, deadline=None)
@given(states, opened_or_out, st.lists(st.sampled_from(PRODUCTS), max_size=8, unique=True), st.sampled_from(Channel))
def test_no_answer_breaks_a_rule_given_what_the_user_holds_and_agrees_to_now(
    state: UserState, events: list[Event], listed: list[str], channel: Channel
) -> None:
    changes = Changes.of(SERVING, overlay(table(*events), cut_off=CUT_OFF, now=NOON)) if events else None
    data = UserData({ALICE: state}, {ALICE: Lists(ranked(*listed))}, changes)
    (reply,) = recommend(SERVING, [Question(ALICE, channel, Kind.PRODUCT, 5)], data)
    opened = {event.item_id for event in events if event.event_type == "opened"}
    out = {event.channel for event in events if event.event_type == "opted_out"}
    bits = {"mobile": 1, "web": 2, "crm": 4, "profiling": 8}
    was_known = bool(state.holdings or state.birth_year or state.consents)
    person = Person(
        held=frozenset({PRODUCTS[code] for code in state.holdings} | (opened if was_known else set())),
        birth_year=state.birth_year or None,
        agrees_to=frozenset(name for name, bit in bits.items() if state.consents & bit and name not in out),
        is_customer=bool(state.consents & 16),
    )
    shown = ids(reply)
    if was_known:
        assert Checker(CATALOGUE, RULES, TODAY, frozenset()).violations(person, shown, channel=channel, top_k=5) == []
    assert not opened & set(shown)
    assert not (shown and channel.value in out)
    assert not {event.item_id for event in events if event.event_type == "dismissed"} & set(shown)
