"""The contact policy beside a brute-force checker that reads it line by line."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.contact import KeptBack
from api.layout import Question, UserData
from api.overlay_changes import Changes
from api.recommend import recommend
from data_contracts.contact_policy import Cap, ContactPolicy, CoolDown, QuietHours, contact_policy
from data_contracts.contacts import Refusal, contact_allowed, send_after, without_own
from data_contracts.errors import InputError
from data_contracts.overlay import overlay
from data_contracts.overlay.kinds import CAMPAIGNS, FEEDBACK
from data_contracts.overlay.rows import micros
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
        st.sampled_from(["sent", "held_out", "dismissed", "complained", "clicked", "reserved", "released"]),
        item_id=st.sampled_from(["", "card", "loan", "mortgage"]),
        event_time=st.integers(NOW - 12 * DAY, NOW + HOUR),
        event_id=st.sampled_from([f"maker{number % 3}/{number}" for number in range(12)]),
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

    def counts_as(self, one: Event) -> str:
        """What was reserved as sent, what was settled as nothing."""
        made = {other.event_type for other in self.own if other.event_id.split("/")[0] == one.event_id.split("/")[0]}
        if one.event_type == "reserved":
            return "" if made & {"released", "sent"} else "sent"
        return "" if one.event_type == "held_out" and "released" in made else one.event_type

    def of(self, word: str, days: float, per: str) -> list[Event]:
        recent = [one for one in self.own if self.counts_as(one) == word and NOW - one.event_time < days * DAY]
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


@given(
    st.builds(
        QuietHours,
        start=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
        end=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
        utc_offset=st.sampled_from([3.0, "Europe/Berlin", "America/New_York"]),
        regions=st.dictionaries(
            st.integers(0, 2), st.sampled_from([-3.5, 12.0, "Asia/Almaty", "Europe/Berlin", "Australia/Lord_Howe"])
        ),
    ),
    # Two days of each kind: clocks are put forward in Berlin, in New York and back in Berlin, and nothing happens.
    st.builds(
        lambda day, minute: micros(datetime(2026, *day, tzinfo=UTC)) + minute * 60_000_000 + 1,
        st.sampled_from([(3, 28), (3, 7), (10, 24), (10, 31), (4, 4), (6, 1)]),
        st.integers(0, 2 * 1_440),
    ),
)
def test_something_is_sent_at_the_first_moment_that_is_not_quiet_where_the_user_lives(
    hours: QuietHours, moment: int
) -> None:
    policy = ContactPolicy(sending=(Channel.CRM,), quiet_hours=hours, control_days=1)
    regions = np.array([-1, 0, 2], dtype=np.int16)
    found = send_after(policy, Channel.CRM, regions, now=moment).astype("datetime64[us]").tolist()
    for region, told in zip(regions.tolist(), found, strict=True):
        zone = hours.regions.get(region, hours.utc_offset)
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
        if not is_quiet_on_the_wall(hours, zone, at):
            assert told is None
            continue
        assert told > at.replace(tzinfo=None)
        assert not is_quiet_on_the_wall(hours, zone, told.replace(tzinfo=UTC))
        while at < told.replace(tzinfo=UTC):  # so it is no later than the end of this quiet period
            assert is_quiet_on_the_wall(hours, zone, at)
            at += timedelta(minutes=1)
    assert np.isnat(send_after(policy, Channel.WEB, regions, now=moment)).all()


def is_quiet_on_the_wall(hours: QuietHours, zone: float | str, at: datetime) -> bool:
    where = ZoneInfo(zone) if isinstance(zone, str) else timezone(timedelta(hours=zone))
    wall = at.astimezone(where).time()
    return (hours.start <= wall < hours.end) if hours.start <= hours.end else wall >= hours.start or wall < hours.end


def test_a_time_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no time zone Mars/Olympus"):
        QuietHours(start=time(21), end=time(9), utc_offset="Mars/Olympus")


def test_an_export_is_asked_about_without_its_own_contacts_and_without_what_was_reserved_later() -> None:
    def reserved(maker: str, hour: int, word: str = "reserved") -> Event:
        return Event(CAMPAIGNS, word, "card", event_time=NOW + hour * HOUR, event_id=f"{maker}/1/card/{word}")

    early, mine, late = reserved("early", -3), reserved("mine", -2), reserved("late", -1)
    sent = reserved("other", 0, "sent")
    left = without_own(table(early, mine, late, sent), "mine")
    assert sorted(one.split("/")[0] for one in left["event_id"].to_pylist()) == ["early", "other"]
    assert without_own(table(early, late, sent), "mine").num_rows == 3


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
