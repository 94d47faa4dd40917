"""What streamed events change: the same whatever their order, duplicates and snapshot."""

from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.events import newest
from data_contracts.overlay import EVENTS, FLEETING, KINDS, TOPICS, Effect, Overlay, OverlayKind, Pairs, overlay, row_of
from data_contracts.overlay.kinds import CAMPAIGNS, FEEDBACK, PRODUCT_EVENTS, SUPPRESSIONS, TELEMETRY
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF, answers_in, spread
from data_contracts.search import family_of_search
from data_contracts.vocabulary import CampaignEvent, ContactEvent, Family, FeedbackEvent, SuppressionEvent
from infra.local.world import parameters

HOUR, DAY = 3_600_000_000, 86_400_000_000
CUT_OFF = 20_000 * DAY
NOW = CUT_OFF + 9 * HOUR
LATE = 7 * DAY
NAMES = sorted({(kind.topic, kind.event_type) for kind in KINDS} | {(PRODUCT_EVENTS, "applied")})


@dataclass(frozen=True)
class Event:
    """One row of EVENTS, an hour after the cut-off unless told otherwise."""

    topic: str
    event_type: str
    item_id: str = ""
    event_time: int = CUT_OFF + HOUR
    event_id: str = "e"
    user_id: int = 7
    channel: str = "web"
    family: str = ""


def table(*events: Event) -> pa.Table:
    return pa.Table.from_pylist([vars(event) for event in events], schema=EVENTS)


def computed(*events: Event, cut_off: int = CUT_OFF, now: int = NOW) -> Overlay:
    return overlay(table(*events), cut_off=cut_off, now=now, late=LATE)


def pairs(found: Pairs) -> set[tuple[int, str]]:
    return set(zip(found.rows.tolist(), found.names, strict=True))


def as_bytes(found: Overlay) -> bytes:
    def of(value: object) -> bytes:
        if isinstance(value, Pairs):
            more = getattr(value, "strengths", getattr(value, "channels", np.zeros(0)))
            return value.rows.tobytes() + repr(value.names).encode() + more.tobytes()
        assert isinstance(value, np.ndarray)
        return value.tobytes()

    return b"|".join(of(value) for value in vars(found).values())


events = st.lists(
    st.builds(
        lambda name, **rest: Event(*name, **rest),
        st.sampled_from(NAMES),
        item_id=st.sampled_from(["", "card_debit", "loan_cash", "offer_a"]),
        event_time=st.integers(CUT_OFF - 70 * DAY, NOW + DAY),
        event_id=st.sampled_from([f"e{number}" for number in range(8)]),
        user_id=st.integers(1, 3),
        channel=st.sampled_from(["mobile", "web", "crm", "pager"]),
        family=st.sampled_from(["", "loan", "card"]),
    ),
    max_size=25,
)


@given(events, st.randoms(use_true_random=False), st.integers(0, 30))
def test_order_duplicates_and_replay_change_no_byte(listed: list[Event], random: object, days: int) -> None:
    again = [*listed, *random.sample(listed, random.randint(0, len(listed)))]  # type: ignore[attr-defined]
    random.shuffle(again)  # type: ignore[attr-defined]
    cut_off = CUT_OFF - days * DAY
    assert as_bytes(computed(*again, cut_off=cut_off)) == as_bytes(computed(*listed, cut_off=cut_off))


@given(events, st.integers(0, 30))
def test_a_rollback_keeps_every_suppression(listed: list[Event], days: int) -> None:
    now, before = computed(*listed), computed(*listed, cut_off=CUT_OFF - days * DAY)
    assert pairs(now.suppressed) <= pairs(before.suppressed)
    assert pairs(now.families_of) <= pairs(before.families_of)
    assert pairs(now.held) <= pairs(before.held)
    assert pairs(now.cooling) == pairs(before.cooling)
    assert (now.withdrawn & ~before.withdrawn == 0).all()


@given(events, st.integers(0, 30))
def test_what_the_look_up_leaves_out_nobody_needs(listed: list[Event], days: int) -> None:
    cut_off = CUT_OFF - days * DAY

    def is_read(event: Event) -> bool:
        return event.event_time >= cut_off or event.event_type not in FLEETING

    # Two events of one idempotency key are the same event, so either both are read or neither.
    distinct = list({(one.user_id, one.topic, one.event_id): one for one in listed}.values())
    read = computed(*filter(is_read, distinct), cut_off=cut_off)
    every = computed(*distinct, cut_off=cut_off)
    for name in ("held", "cooling", "suppressed", "families_of", "boosts", "family_boosts", "released"):
        assert named(read, name) == named(every, name)
    assert bits(read) == bits(every)


def named(found: Overlay, name: str) -> set[tuple[int, str]]:
    one = getattr(found, name)
    return {(int(found.user_ids[row]), item) for row, item in pairs(one)}


def bits(found: Overlay) -> dict[int, tuple[int, int]]:
    each = zip(found.user_ids.tolist(), found.withdrawn.tolist(), found.given.tolist(), strict=True)
    return {user: (out, back) for user, out, back in each if out or back}


@given(events)
def test_a_user_among_others_is_as_alone(listed: list[Event]) -> None:
    together = computed(*listed)
    for user in {event.user_id for event in listed}:
        alone = computed(*(event for event in listed if event.user_id == user))
        for name in ("held", "suppressed", "families_of", "released"):
            assert named(alone, name) == {(who, item) for who, item in named(together, name) if who == user}
        assert bits(alone).get(user) == bits(together).get(user)


def test_what_was_opened_is_held_until_it_is_closed() -> None:
    opened = Event(PRODUCT_EVENTS, "opened", "card_debit")
    closed = Event(PRODUCT_EVENTS, "closed", "card_debit", CUT_OFF + 2 * HOUR, "f")
    assert pairs(computed(opened).held) == {(0, "card_debit")}
    both = computed(opened, closed)
    assert (pairs(both.held), pairs(both.released)) == (set(), {(0, "card_debit")})
    assert pairs(computed(replace(closed, event_time=opened.event_time), opened).held) == {(0, "card_debit")}


def test_what_opens_a_door_counts_only_after_the_cut_off_and_what_shuts_one_before_it_too() -> None:
    early = CUT_OFF - DAY
    assert not computed(Event(PRODUCT_EVENTS, "closed", "card_debit", early)).released
    assert computed(Event(FEEDBACK, "opted_in", event_time=early)).given.tolist() == [0]
    assert pairs(computed(Event(PRODUCT_EVENTS, "opened", "card_debit", early)).held)
    assert not computed(Event(PRODUCT_EVENTS, "opened", "card_debit", CUT_OFF - LATE - 1)).held


@pytest.mark.parametrize(("topic", "event_type"), [(CAMPAIGNS, "purchased"), (FEEDBACK, "purchased")])
def test_an_offer_that_was_bought_rests_from_its_purchase_and_may_come_back_whatever_was_published_since(
    topic: str, event_type: str
) -> None:
    (rest,) = {kind.window for kind in KINDS if kind.effect is Effect.COOL_DOWN}
    assert rest is not None
    bought = Event(topic, event_type, "offer_a", NOW - rest // timedelta(microseconds=1))
    for days in (0, 1, 30):
        cut_off = CUT_OFF - days * DAY
        assert pairs(computed(bought, cut_off=cut_off).cooling) == {(0, "offer_a")}
        assert not computed(bought, cut_off=cut_off, now=NOW + 1).cooling


@pytest.mark.parametrize("topic", [CAMPAIGNS, FEEDBACK])
def test_a_dismissal_lasts_its_window_whatever_was_published_since(topic: str) -> None:
    dismissed = Event(topic, "dismissed", "offer_a", CUT_OFF - 29 * DAY)
    assert pairs(computed(dismissed).suppressed) == {(0, "offer_a")}
    assert not computed(dismissed, now=NOW + DAY).suppressed


def test_a_whole_answer_that_is_dismissed_is_dismissed_item_by_item_once_it_is_known_what_it_showed() -> None:
    noon = 1_770_000_000_000_000
    given = {"event_id": "e", "event_time": noon, "user_id": 1, "event_type": "dismissed", "channel": "web"}
    row = row_of(FEEDBACK, {**given, "rec_id": "r", "item_id": None}, arrived=noon, skew=0)
    one = row_of(FEEDBACK, {**given, "rec_id": "r", "item_id": "card"}, arrived=noon, skew=0)
    click = row_of(FEEDBACK, {**given, "event_type": "clicked", "rec_id": "r"}, arrived=noon, skew=0)
    assert row and one and click and (one.item_id, click.item_id) == ("card", "")
    events = pa.Table.from_pylist([{name: getattr(row, name) for name in EVENTS.names}], schema=EVENTS)
    assert answers_in([row.item_id, one.item_id, click.item_id]) == ["r"]
    known = spread(events, {"r": ["card", "offer"], "other": ["loan"]})
    assert overlay(known, cut_off=noon, now=noon).suppressed.names == ("answer:r", "card", "offer")
    assert spread(events, {}).equals(events)


def test_a_declined_application_is_told_with_its_product() -> None:
    assert pairs(computed(Event(PRODUCT_EVENTS, "declined", "loan_cash")).families_of) == {(0, "loan_cash")}


def test_an_opt_out_and_a_complaint_last_for_good_until_the_user_opts_in() -> None:
    long_ago = CUT_OFF - 4_000 * DAY
    out = Event(FEEDBACK, "opted_out", event_time=long_ago, channel="crm")
    assert computed(out).withdrawn.tolist() == [4]
    back = Event(FEEDBACK, "opted_in", channel="crm", event_id="f")
    assert (computed(out, back).withdrawn.tolist(), computed(out, back).given.tolist()) == ([0], [4])
    complaint = computed(Event(CAMPAIGNS, "complained", "loan_cash", long_ago, channel="mobile"))
    assert (pairs(complaint.suppressed), complaint.withdrawn.tolist()) == ({(0, "loan_cash")}, [1])


def test_a_boost_halves_with_its_half_life_and_many_are_cut() -> None:
    view = Event(TELEMETRY, "product_view", "card_debit", CUT_OFF)
    fresh, old = (computed(view, now=CUT_OFF + days * DAY).boosts.strengths for days in (0, 2))
    assert fresh.tolist() == [0.8]
    assert old.tolist() == [0.4]
    many = computed(*(replace(view, event_id=str(number)) for number in range(50)), now=CUT_OFF)
    assert many.boosts.strengths.tolist() == [3.0]
    assert not computed(replace(view, event_time=CUT_OFF - 1)).boosts


def test_a_campaign_tires_from_its_third_showing_on() -> None:
    shown = [Event(CAMPAIGNS, "shown", "loan_cash", CUT_OFF - number * DAY, f"e{number}") for number in range(3)]
    assert not computed(*shown[:2]).boosts
    assert computed(*shown).boosts.strengths.tolist() == [-1.5]
    assert not computed(*shown[:2], shown[0]).boosts


def test_every_word_that_is_searched_for_in_the_sample_world_is_about_its_family() -> None:
    listed = yaml.safe_load(Path(parameters.__file__).with_name("parameters.yaml").read_text(encoding="utf-8"))
    for family, described in listed["families"].items():
        for words in described["words"]:
            assert family_of_search(words) == Family(family), words
    assert family_of_search("pizza near me") is None


def test_every_kind_is_about_a_word_that_its_topic_may_say() -> None:
    for kind in KINDS:
        (field,) = [one for one in newest(kind.topic).parsed["fields"] if one["name"] == "event_type"]
        assert kind.event_type in (*field["values"], *(ContactEvent if kind.topic == CAMPAIGNS else ()))
    lasting = {kind.event_type for kind in KINDS if kind.effect not in (Effect.BOOST, Effect.BOOST_FAMILY)}
    assert not lasting & set(FLEETING)
    assert {kind.topic for kind in KINDS} == set(TOPICS)


def kept(
    topic: str, event_type: str, *, at: int = NOW, arrived: int = NOW, **more: object
) -> tuple[object, ...] | None:
    event = {"event_id": "e", "event_time": at, "user_id": 7, "event_type": event_type, **more}
    row = row_of(topic, event, arrived=arrived, skew=HOUR)
    return None if row is None else astuple(row)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.topic} {kind.event_type} {kind.effect}")
def test_an_event_is_kept_as_long_as_any_rule_needs_it(kind: OverlayKind) -> None:
    at = NOW + 1  # not a whole second
    event = {"event_id": "e", "event_time": at, "user_id": 7, "event_type": kind.event_type, "query": "ипотека"}
    row = row_of(kind.topic, event, arrived=at, skew=0)
    assert row is not None
    if kind.window is None:
        assert row.expires_at == FOR_GOOD
    else:
        assert row.expires_at * 1_000_000 >= at + kind.window // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("topic", "event_type"),
    [
        *((FEEDBACK, word) for word in (FeedbackEvent.OPTED_OUT, FeedbackEvent.COMPLAINED)),
        *((CAMPAIGNS, word) for word in (CampaignEvent.UNSUBSCRIBED, CampaignEvent.COMPLAINED)),
        *((SUPPRESSIONS, word) for word in SuppressionEvent),
    ],
)
def test_who_must_not_be_addressed_is_so_for_good(topic: str, event_type: str) -> None:
    assert kept(topic, event_type, at=NOW - 4_000 * DAY)[-1] == FOR_GOOD  # type: ignore[index]


def test_a_row_expires_when_no_rule_needs_it_and_some_never_do() -> None:
    (kind,) = [kind for kind in KINDS if kind.event_type == "search"]
    assert kind.window == timedelta(days=7)
    expires = (NOW + 7 * DAY) // 1_000_000
    assert kept(TELEMETRY, "search", query="ипотека") == (
        7, NOW, TELEMETRY, "search", "e", "", "", "mortgage", NOW, expires,
    )  # fmt: skip
    out = kept(FEEDBACK, "opted_out", channel="crm", item_id=None, at=0)
    assert out is not None
    assert out[-2:] == (MAX_CUT_OFF, FOR_GOOD)


def test_what_no_rule_needs_is_not_kept() -> None:
    assert kept(TELEMETRY, "screen", screen="cards") is None
    assert kept(TELEMETRY, "search", query="my neighbour's name") is None
    assert kept(TELEMETRY, "product_view", product_id="card_debit", at=NOW - 15 * DAY) is None
    assert kept(PRODUCT_EVENTS, "applied", product_id="card_debit") is None


def test_an_event_of_the_future_counts_from_its_arrival() -> None:
    ahead = kept(PRODUCT_EVENTS, "opened", product_id="card_debit", at=NOW + 10**17)
    assert ahead is not None
    assert ahead[1] == NOW
