"""Everybody's lists are those of the look-up: the same items, scores, reasons and tiers, whatever happened to whom."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from api.bulk_lists import lists_of
from api.crowds import Crowd, Ground, Wanted
from api.explaining import rebuilt
from api.layout import Question
from api.ranks import TIERS
from api.recommend import recommend
from api.serving import Serving, Snapshot
from api.store import FallbackLists, Found, Lists, Ranked, UserState
from api.times import Times
from data_contracts.experiments import Trials
from data_contracts.overlay import KINDS
from data_contracts.overlay.kinds import FEEDBACK, PRODUCT_EVENTS
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Family, Kind, Variant
from sql.ranges import Rows
from tests.day_snapshots import arrays_of, states_table
from tests.day_world import CATALOGUE, CODES, FIRST, NOW, RULE_SET, items_table
from tests.experiment_samples import experiment
from tests.unit.test_overlay import Event, table

TIMES = Times.of(Settings(max_snapshot_age_days=36_500))
ITEMS, PRODUCTS = list(CODES), [one.product_id for one in CATALOGUE.products]
USERS = 400
ARMS = {
    "own": {"share": 0.3, "variant": "personal"},
    "segment": {"share": 0.3, "variant": "segment"},
    "uplift": {"share": 0.4, "variant": "uplift"},
}


def drawn_lists(draw: np.random.Generator) -> Lists:
    def ranked(codes: list[int], most: int) -> Ranked:
        items = draw.permutation(codes)[: draw.integers(0, most)].tolist()
        scores = np.sort(draw.integers(20_000, 45_000, len(items)))[::-1].tolist()
        return Ranked(items, scores, draw.integers(0, 3 << 8, len(items)).tolist())

    return Lists(ranked(list(range(len(PRODUCTS))), 9), ranked(list(range(len(PRODUCTS), len(CODES))), 7))


def drawn_state(draw: np.random.Generator) -> UserState:
    if draw.random() < 0.1:
        return UserState(segment=int(draw.integers(0, 4)))
    return UserState(
        segment=int(draw.integers(0, 4)),
        holdings=draw.permutation(len(PRODUCTS))[: draw.integers(0, 3)].tolist(),
        birth_year=int(draw.integers(1950, 2015)),
        employment=str(draw.choice(["", "employed", "student"])),
        consents=int(draw.integers(0, 16)) | 16,
    )


def drawn_events(draw: np.random.Generator, number: int) -> list[Event]:
    return [
        Event(
            (kind := KINDS[draw.integers(len(KINDS))]).topic,
            kind.event_type,
            str(draw.choice(ITEMS)),
            user_id=int(draw.integers(USERS)),
            event_time=int(TIMES.moment(SNAPSHOT, NOW).cut_off_micros + draw.integers(-86_400, 118_000) * 1_000_000),
            event_id=str(place),
            channel=str(draw.choice(["web", "crm", "mobile"])),
            family=str(draw.choice(list(Family))),
        )
        for place in range(number)
    ]


SNAPSHOT = Snapshot(
    FIRST,
    items_table(),
    FallbackLists(
        popular=drawn_lists(np.random.default_rng(1)),
        segments={1: drawn_lists(np.random.default_rng(2)), 3: drawn_lists(np.random.default_rng(3))},
    ),
    is_whole=True,
)


@pytest.mark.parametrize(("seed", "top_k"), [(0, 20), (1, 3), (2, 1), (3, 4)])
@pytest.mark.parametrize("kind", list(Kind))
def test_everybody_gets_what_the_look_up_answers(seed: int, top_k: int, kind: Kind) -> None:
    draw = np.random.default_rng([seed, top_k])
    channel = list(Channel)[seed % 3]
    families = frozenset({Family.CARD, Family.LOAN, Family.DEPOSIT}) if seed == 2 else frozenset()
    exclude = frozenset({"card_gold", "offer_b"}) if seed == 3 else frozenset()
    serving = Serving.of(
        SNAPSHOT,
        RULE_SET,
        frozenset({"card_debit", "offer_a"}) if seed else frozenset(),
        today=NOW.date(),
        trials=Trials((experiment(arms=ARMS),) if seed == 0 else (), 0.2 if seed == 1 else 0.0),
    )
    states = {user_id: drawn_state(draw) for user_id in range(USERS)}
    lists = {user_id: drawn_lists(draw) for user_id in range(USERS) if draw.random() < 0.7}
    others = {user_id: drawn_lists(draw) for user_id in range(USERS) if draw.random() < 0.5}
    lists = {
        one: replace(lists.get(one, Lists()), variants={Variant.UPLIFT: others[one]} if one in others else {})
        for one in sorted({*lists, *others})
    }
    events = table(*drawn_events(draw, 600))
    moment = TIMES.moment(SNAPSHOT, NOW + timedelta(hours=1 if seed else 0))

    ground = Ground(serving, Wanted(channel, kind, top_k, families, exclude))
    rows = Rows(states_table(states), arrays_of(lists, kind), events, {Variant.UPLIFT: arrays_of(others, kind)})
    found = lists_of(ground, Crowd.of(ground, rows, moment))

    questions = [Question(user_id, channel, kind, top_k, families, exclude) for user_id in range(USERS)]
    replies = recommend(serving, questions, moment.user_data(serving, Found(states, lists, events)))
    for user_id, reply in enumerate(replies):
        expected = [(one.index, one.score, one.reasons, one.tier) for one in reply.shown]
        count = int(found.is_item[user_id].sum())
        columns = (found.items, found.scores, found.reasons, found.tiers)
        told = [column[user_id, :count].tolist() for column in columns]
        assert list(zip(*told[:3], (TIERS[one] for one in told[3]), strict=True)) == expected, user_id
    shown = [one for reply in replies for one in reply.shown]
    assert {one.tier for one in shown} >= ({TIERS[0], TIERS[1]} if top_k > 1 else set())


@pytest.mark.parametrize("channel", [Channel.WEB, Channel.CRM])
@pytest.mark.parametrize(("topic", "happened"), [(FEEDBACK, "purchased"), (PRODUCT_EVENTS, "opened")])
def test_who_bought_an_offer_is_shown_it_nowhere_and_others_are(channel: Channel, topic: str, happened: str) -> None:
    buyer, other = 1, 2
    moment = TIMES.moment(SNAPSHOT, NOW)
    serving = Serving.of(SNAPSHOT, RULE_SET, frozenset(), today=NOW.date())
    states = {one: UserState(birth_year=1990, consents=31) for one in (buyer, other)}
    offers = Ranked([CODES["offer_a"], CODES["offer_b"]], [40_000, 39_000], [0, 0])
    lists = {one: Lists(offers=offers) for one in states}
    at = moment.cut_off_micros + 1_000_000
    events = table(Event(topic, happened, "offer_a", user_id=buyer, event_time=at, channel="mobile"))

    ground = Ground(serving, Wanted(channel, Kind.OFFER))
    rows = Rows(states_table(states), arrays_of(lists, Kind.OFFER), events)
    everybodys = [set(items) - {-1} for items in lists_of(ground, Crowd.of(ground, rows, moment)).items.tolist()]
    questions = [Question(one, channel, Kind.OFFER, 10) for one in states]
    data = moment.user_data(serving, Found(states, lists, events))
    answers = [{one.index for one in reply.shown} for reply in recommend(serving, questions, data)]
    assert everybodys == answers
    assert [CODES["offer_a"] in shown for shown in answers] == [False, True]
    why = {one.item_id: one.rule for one in rebuilt(serving, questions[0], data).dropped}
    assert why["offer_a"] == "suppressed"
    assert CODES["offer_b"] in answers[0]


def test_a_snapshot_that_is_too_old_shows_no_personal_list() -> None:
    old = Times.of(Settings(max_snapshot_age_days=1)).moment(SNAPSHOT, NOW + timedelta(days=9))
    ground = Ground(Serving.of(SNAPSHOT, RULE_SET, frozenset(), today=NOW.date()), Wanted(Channel.WEB))
    rows = Rows(
        states_table({1: UserState(birth_year=1990, consents=31)}),
        arrays_of({1: drawn_lists(np.random.default_rng(5))}, Kind.PRODUCT),
        None,
    )
    found = lists_of(ground, Crowd.of(ground, rows, old))
    assert found.is_item.any()
    assert TIERS[0] not in {TIERS[one] for one in found.tiers[found.is_item].tolist()}


def test_nobody_at_all_is_no_error() -> None:
    ground = Ground(Serving.of(SNAPSHOT, RULE_SET, frozenset(), today=NOW.date()), Wanted(Channel.WEB))
    rows = Rows(states_table({5: UserState()}), arrays_of({}, Kind.PRODUCT), None)
    assert isinstance(rows.lists, pa.Table)
    assert len(lists_of(ground, Crowd.of(ground, rows, TIMES.moment(SNAPSHOT, NOW))).items) == 1
