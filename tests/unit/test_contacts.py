"""The contact policy beside a brute-force checker that reads it line by line."""

from dataclasses import dataclass
from datetime import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.contact import KeptBack
from api.layout import Question, UserData
from api.overlay_changes import Changes
from api.recommend import recommend
from data_contracts.contact_policy import Cap, ContactPolicy, CoolDown, QuietHours, contact_policy
from data_contracts.contacts import Refusal, contact_allowed
from data_contracts.errors import InputError
from data_contracts.overlay import overlay
from data_contracts.overlay.kinds import CAMPAIGNS, FEEDBACK
from data_contracts.vocabulary import Channel, Kind
from tests.day_world import ALICE, BOB, LISTS, STATES
from tests.unit.test_api_overlay import NOON, SERVING, happened
from tests.unit.test_overlay import DAY, HOUR, NOW, Event, table

ITEMS = ("card", "loan", "")
USERS = np.array([3, 1, 2], dtype=np.int64)
MEMBERS = {"autumn": np.array([2, 9], dtype=np.int64), "winter": np.array([1], dtype=np.int64)}

events = st.lists(
    st.builds(
        Event,
        st.sampled_from([CAMPAIGNS, FEEDBACK]),
        st.sampled_from(["sent", "held_out", "dismissed", "complained", "clicked"]),
        item_id=st.sampled_from(["", "card", "loan", "mortgage"]),
        event_time=st.integers(NOW - 12 * DAY, NOW + HOUR),
        event_id=st.sampled_from([f"e{number}" for number in range(12)]),
        user_id=st.integers(1, 4),
        channel=st.sampled_from(["mobile", "crm", "pager"]),
    ),
    max_size=25,
)
pers = st.sampled_from(["user", "product"])
policies = st.builds(
    ContactPolicy,
    sending=st.just((Channel.CRM,)),
    quiet_hours=st.builds(
        QuietHours,
        start=st.times(),
        end=st.times(),
        utc_offset=st.sampled_from([-5.0, 3.0, 5.5]),
        regions=st.dictionaries(st.integers(0, 2), st.sampled_from([2.0, 12.0])),
    ),
    caps=st.lists(
        st.builds(
            Cap,
            per=pers,
            channel=st.sampled_from([None, Channel.CRM, Channel.MOBILE]),
            most=st.integers(1, 3),
            days=st.integers(1, 9),
        ),
        max_size=3,
    ).map(tuple),
    cool_downs=st.lists(
        st.builds(CoolDown, after=st.sampled_from(["dismissed", "complained"]), per=pers, days=st.integers(1, 9)),
        max_size=2,
    ).map(tuple),
    control_days=st.integers(1, 9),
    exclusive=st.sampled_from([(), (frozenset({"autumn", "spring"}),), (frozenset({"winter", "spring"}),)]),
)


@dataclass(frozen=True)
class Reader:
    """Reads the policy for one user and item, rule by rule."""

    policy: ContactPolicy
    own: list[Event]
    item: str
    channel: Channel

    def of(self, word: str, days: float, per: str) -> list[Event]:
        recent = [one for one in self.own if one.event_type == word and NOW - one.event_time < days * DAY]
        return [one for one in recent if per == "user" or (self.item and one.item_id == self.item)]

    def is_capped(self, cap: Cap) -> bool:
        sent = [one for one in self.of("sent", cap.days, cap.per) if cap.channel in (None, one.channel)]
        return cap.channel in (None, self.channel) and len(sent) >= cap.most

    def verdict(self, user: int, region: int | None) -> Refusal:
        if self.of("held_out", self.policy.control_days, "product"):
            return Refusal.CONTROL
        others = {name for group in self.policy.exclusive if "spring" in group for name in group}
        if any(user in ids for name, ids in MEMBERS.items() if name in others):
            return Refusal.EXCLUSIVE
        if any(self.of(rule.after, rule.days, rule.per) for rule in self.policy.cool_downs):
            return Refusal.COOL_DOWN
        if any(self.is_capped(cap) for cap in self.policy.caps):
            return Refusal.CAPPED
        return Refusal.QUIET if region is not None and sleeps(self.policy.quiet_hours, region) else Refusal.NONE


def sleeps(hours: QuietHours, region: int) -> bool:
    minute = int(NOW // 60_000_000 + hours.regions.get(region, hours.utc_offset) * 60) % 1_440
    start, end = hours.start.hour * 60 + hours.start.minute, hours.end.hour * 60 + hours.end.minute
    return (start <= minute < end) if start <= end else (minute >= start or minute < end)


@given(policies, events, st.booleans(), st.sampled_from([Channel.CRM, Channel.MOBILE]))
def test_whoever_may_be_contacted_is_whom_each_rule_lets(
    policy: ContactPolicy, listed: list[Event], is_sent: bool, channel: Channel
) -> None:
    # Equal ids are one event, whichever copy was read first: what differs between copies must not matter here.
    once = list({(one.user_id, one.topic, one.event_id): one for one in listed}.values())
    regions = np.array([-1, 0, 2], dtype=np.int16)
    found = contact_allowed(
        policy,
        table(*once, *once[:3]),
        user_ids=USERS,
        items=ITEMS,
        channel=channel,
        now=NOW,
        regions=regions if is_sent else None,
        campaign="spring",
        members=MEMBERS,
    )
    for row, user in enumerate(USERS.tolist()):
        for column, item in enumerate(ITEMS):
            region = int(regions[row]) if is_sent else None
            reader = Reader(policy, [one for one in once if one.user_id == user], item, channel)
            assert Refusal(found[row, column]) is reader.verdict(user, region)


def test_nobody_and_nothing_are_no_error() -> None:
    nobody = np.array([], dtype=np.int64)
    sent = table(Event(CAMPAIGNS, "sent", "card"))
    told = {"channel": Channel.CRM, "now": NOW}
    assert contact_allowed(contact_policy(), sent, user_ids=nobody, items=ITEMS, **told).shape == (0, 3)  # type: ignore[arg-type]
    assert contact_allowed(contact_policy(), table(), user_ids=USERS, items=(), **told).shape == (3, 0)  # type: ignore[arg-type]


def test_a_policy_that_counts_what_is_not_kept_is_refused_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "contact.yaml"
    file.write_text(
        'sending: [crm]\ncontrol_days: 61\nquiet_hours: {start: "21:00", end: "09:00", utc_offset: 3}\n',
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=r"contact\.yaml(.|\n)*held_out is asked for 61 days, and kept for 60"):
        contact_policy(file)
    assert contact_policy().quiet_hours.start == time(21)


def test_a_look_up_for_crm_shows_nothing_to_who_was_told_enough_and_the_app_goes_on() -> None:
    sent = [happened(CAMPAIGNS, "sent", "mortgage_new", event_id=str(number), channel="crm") for number in range(3)]
    control = happened(CAMPAIGNS, "held_out", "card_gold", BOB, channel="crm")
    read = table(*sent, control)
    kept = KeptBack.of(SERVING, read, channels=Channel, now=NOON)
    changes = Changes.of(SERVING, overlay(read, cut_off=NOON - DAY, now=NOON), kept)

    def shown(user_id: int, channel: Channel, kind: Kind = Kind.PRODUCT) -> set[int]:
        (reply,) = recommend(SERVING, [Question(user_id, channel, kind, 10)], UserData(STATES, LISTS, changes))
        return {one.index for one in reply.shown}

    gold = SERVING.policy.position["card_gold"]
    assert not shown(ALICE, Channel.CRM)
    assert not shown(ALICE, Channel.CRM, Kind.OFFER)
    assert shown(ALICE, Channel.WEB)
    assert gold in shown(BOB, Channel.WEB)
    assert shown(BOB, Channel.CRM)
    assert gold not in shown(BOB, Channel.CRM)
