"""Random days of the service, in numbers too large for hypothesis, and as people what it can know of whom.

A world is drawn from its seed alone. `Person` is read from states and events in plain loops, apart from the overlay.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from api.layout import Question
from api.store import ITEMS, FallbackLists, Lists, Ranked, RuleSet, UserState
from data_contracts.catalogue import (
    Catalogue,
    Eligibility,
    LocalText,
    Prerequisite,
    Product,
    Prohibition,
    Reasons,
    Rules,
)
from data_contracts.context import NO_CONTEXT, Context
from data_contracts.overlay.kinds import FEEDBACK, PRODUCT_EVENTS, SUPPRESSIONS
from data_contracts.overlay.rows import micros
from data_contracts.vocabulary import Channel, Employment, Family, Kind, Placement, Screen
from tests.day_world import FIRST, NOW, FakeStore
from tests.policy_checker import Checker, Person, Suppression
from tests.unit.test_overlay import Event, table

TODAY = NOW.date()
USERS, QUESTIONS = 60, 1_000
PROFILING, SEGMENTS = 8, 4
_FAMILIES = list(Family)[:6]
_IDS = [f"p{number:02}" for number in range(24)]
_OFFERS = [f"offer_{number:02}" for number in range(30)]
_BITS = {"mobile": 1, "web": 2, "crm": 4, "profiling": PROFILING}


@dataclass(frozen=True)
class World:
    """`item_ids`: by code, the products first; some that the catalogue lacks, and not all that it has.

    `withdrawn`: who is known to have opted out of a channel where users cannot be looked up.
    """

    rule_set: RuleSet
    blocks: frozenset[str]
    item_ids: Sequence[str]
    fallback: FallbackLists
    personal: Mapping[int, Lists]
    states: Mapping[int, UserState]
    happened: Mapping[int, Sequence[Event]]
    withdrawn: Mapping[Channel, Sequence[int]]
    questions: Sequence[Question]
    snapshot_id: str = FIRST
    people: dict[int, Person] = field(default_factory=dict, init=False, compare=False)

    def checker(self, today: date) -> Checker:
        return Checker(self.rule_set.catalogue, self.rule_set.rules, today, self.blocks)

    def store(self) -> "BreakableStore":
        kinds = [Kind.OFFER if item_id.startswith("offer") else Kind.PRODUCT for item_id in self.item_ids]
        rows = [
            {"item_id": item_id, "kind": kind.value, "family": "", "name_en": item_id, "name_ru": item_id}
            for item_id, kind in zip(self.item_ids, kinds, strict=True)
        ]
        return BreakableStore(
            rules=self.rule_set,
            items=pa.Table.from_pylist(rows, schema=ITEMS),
            fallback=self.fallback,
            personal=self.personal,
            states=self.states,
            events=table(*(event for events in self.happened.values() for event in events)),
            withdrawn=self.withdrawn,
        )

    def somebody(self, user_id: int) -> Person:
        """As the database knows them, with what they did since."""
        if user_id not in self.people:
            self.people[user_id] = self._read(self.states.get(user_id, UserState()), self.happened.get(user_id, ()))
        return self.people[user_id]

    def a_stranger(self, user_id: int, channel: Channel) -> Person:
        """As who cannot be looked up: nobody known, but perhaps to have opted out."""
        is_out = user_id in self.withdrawn.get(channel, ())
        return Person(told=(Suppression("out", channel),) if is_out else ())

    def lists_of_all(self, user_id: int, kind: Kind, *, is_told: bool) -> set[str]:
        """What anybody like the user is offered: their segment's list, the popular one and the static one."""
        segment = self.states.get(user_id, UserState()).segment
        lists = [self.fallback.popular, *([self.fallback.segments.get(segment, Lists())] if is_told else [])]
        ids = {self.item_ids[code] for one in lists for code in one.of(kind).items}
        return ids if kind is Kind.OFFER else (ids | {*self.rule_set.rules.static_popular}) & self.sold_here

    @cached_property
    def sold_here(self) -> set[str]:
        return {product.product_id for product in self.rule_set.catalogue.products}

    def _read(self, state: UserState, events: Sequence[Event]) -> Person:
        held = {self.item_ids[code] for code in state.holdings}
        agrees_to = {name for name, bit in _BITS.items() if state.consents & bit}
        told: list[Suppression] = []
        for event in sorted(events, key=lambda one: one.event_time):
            match event.event_type:
                case "opened":
                    held.add(event.item_id)
                case "closed":
                    held.discard(event.item_id)
                case "opted_out":
                    agrees_to.discard(event.channel)
                    told = [one for one in told if (one.name, one.channel) != ("out", event.channel)]
                    told.append(Suppression("out", event.channel))
                case "opted_in":
                    agrees_to.add(event.channel)
                    told = [one for one in told if (one.name, one.channel) != ("out", event.channel)]
                case "dismissed":
                    told += [Suppression(event.event_id, channel, event.item_id) for channel in Channel]
                case "family_suppressed":
                    told.append(Suppression(event.event_id, event.channel, event.family))
                case "product_suppressed":
                    told.append(Suppression(event.event_id, event.channel, event.item_id))
        night = Person(
            held=frozenset(self.item_ids[code] for code in state.holdings) & self.sold_here,
            birth_year=state.birth_year or None,
            region=None if state.region < 0 else state.region,
            income_band=None if state.income_band < 0 else state.income_band,
            employment=state.employment or None,
            score_band=state.score_band or None,
            arrears_days=None if state.arrears_days < 0 else state.arrears_days,
            agrees_to=frozenset(name for name, bit in _BITS.items() if state.consents & bit),
            is_customer=bool(state.consents & 16),
        )
        return replace(
            night,
            held=frozenset(held) & self.sold_here,
            agrees_to=frozenset(agrees_to),
            told=tuple(told),
            was_unknown=not night.is_known,
        )


@dataclass
class BreakableStore(FakeStore):
    """Of which look-ups alone may fail or hang."""

    look_up_failure: Exception | None = None
    hangs: bool = False

    async def look_up(self, snapshot_id: str, user_ids: Sequence[int], *, cut_off: int) -> Any:
        found = await super().look_up(snapshot_id, user_ids, cut_off=cut_off)
        if self.look_up_failure:
            raise self.look_up_failure
        if self.hangs:
            await asyncio.Event().wait()
        return found


def world(seed: int) -> World:
    draw = random.Random(seed)
    catalogue = Catalogue(version="1", products=tuple(_product(draw, one) for one in draw.sample(_IDS, 20)))
    item_ids = [*draw.sample(_IDS, 20), *_OFFERS]
    everyone = range(USERS)
    return World(
        rule_set=RuleSet(catalogue, _rules(draw, catalogue), Reasons(version="1", reasons=())),
        blocks=frozenset(draw.sample(_IDS, 2) + draw.sample(_OFFERS, 3)),
        item_ids=item_ids,
        fallback=FallbackLists(_lists(draw, 10), {segment: _lists(draw, 8) for segment in range(SEGMENTS)}),
        personal={user: _lists(draw, 12) for user in everyone if draw.random() < 0.7},
        states={user: _state(draw) for user in everyone if draw.random() < 0.9},
        happened={user: _events(draw, user) for user in everyone if draw.random() < 0.5},
        withdrawn={channel: draw.sample(everyone, 6) for channel in (Channel.MOBILE, Channel.WEB)},
        questions=[_question(draw) for _ in range(QUESTIONS)],
    )


def _product(draw: random.Random, product_id: str) -> Product:
    def seldom(value: Any) -> Any:
        return value if draw.random() < 0.12 else None

    return Product(
        product_id=product_id,
        family=draw.choice(_FAMILIES),
        name=LocalText(en=product_id, ru=product_id),
        value=draw.uniform(1, 100),
        channels=tuple(draw.sample(list(Channel), draw.choice([1, 2, 3, 3, 3]))),
        eligibility=Eligibility(
            min_age=seldom(draw.randint(15, 40)),
            max_age=seldom(draw.randint(30, 70)),
            min_income_band=seldom(draw.randint(0, 4)),
            max_score_band=seldom(draw.randint(1, 5)),
            max_arrears_days=seldom(draw.randint(0, 10)),
            employment=seldom(tuple(draw.sample(list(Employment), 2))),
            regions=seldom(tuple(draw.sample(range(5), 3))),
        ),
        on_sale_from=seldom(TODAY + timedelta(days=draw.randint(-1, 2))),
        on_sale_to=seldom(TODAY + timedelta(days=draw.randint(-1, 1))),
        safe_for_anyone=draw.random() < 0.6,
    )


def _rules(draw: random.Random, catalogue: Catalogue) -> Rules:
    ids = [product.product_id for product in catalogue.products]
    names = [*ids, *_FAMILIES]
    return Rules(
        version="1",
        prohibitions=tuple(
            Prohibition(left=draw.choice(names), right=draw.choice(names), why="because") for _ in range(3)
        ),
        prerequisites=tuple(
            Prerequisite(product_id=one, any_of=tuple(draw.sample(names, 3))) for one in draw.sample(ids, 3)
        ),
        default_family_cap=draw.randint(1, 3),
        family_caps={family: draw.randint(1, 4) for family in draw.sample(_FAMILIES, 2)},
        static_popular=tuple(draw.sample(ids, 6)),
        blocked_items=tuple(draw.sample(ids, 1) + draw.sample(_OFFERS, 1)),
    )


def _lists(draw: random.Random, most: int) -> Lists:
    """Some name an item twice, as no night should."""
    return Lists(
        _ranked(draw.choices(range(20), k=draw.randint(0, most))),
        _ranked(draw.choices(range(20, 20 + len(_OFFERS)), k=draw.randint(0, most))),
    )


def _ranked(codes: Sequence[int]) -> Ranked:
    return Ranked(codes, [40_000 - 100 * place for place in range(len(codes))], [1] * len(codes))


def _state(draw: random.Random) -> UserState:
    if draw.random() < 0.1:
        return UserState(segment=draw.randrange(SEGMENTS))  # seen in behaviour alone
    return UserState(
        segment=draw.randrange(SEGMENTS + 1),
        holdings=draw.sample(range(20), draw.choice([0, 0, 1, 2, 3])),
        birth_year=draw.choice([0, *range(1940, 2012, 3)]),
        region=draw.randint(-1, 6),
        income_band=draw.randint(-1, 4),
        employment=draw.choice(["", *Employment]),
        score_band=draw.randint(0, 5),
        arrears_days=draw.choice([-1, 0, 0, 3, 12]),
        consents=draw.choice([31, 31, 27, 16 | draw.randrange(16), draw.randrange(32)]),
    )


def _events(draw: random.Random, user_id: int) -> list[Event]:
    """Of today before `NOW`, no two at the same moment."""
    made = []
    for number in range(draw.randint(1, 4)):
        topic, event_type = draw.choice(
            [(PRODUCT_EVENTS, "opened")] * 3
            + [(PRODUCT_EVENTS, "closed"), (FEEDBACK, "dismissed"), (FEEDBACK, "opted_out"), (FEEDBACK, "opted_in")]
            + [(SUPPRESSIONS, "family_suppressed"), (SUPPRESSIONS, "product_suppressed")]
        )
        is_of_family = event_type == "family_suppressed"
        is_of_item = event_type in {"opened", "closed", "dismissed", "product_suppressed"}
        items = _IDS if topic == PRODUCT_EVENTS else [*_IDS, *_OFFERS]
        made.append(
            Event(
                topic,
                event_type,
                draw.choice(items) if is_of_item else "",
                event_time=micros(NOW) - 1_000_000 * (100 - number),
                event_id=f"{user_id}/{number}",
                user_id=user_id,
                channel=draw.choice(list(Channel)).value,
                family=draw.choice(_FAMILIES).value if is_of_family else "",
            )
        )
    return made


def _question(draw: random.Random) -> Question:
    """Some of users whom nobody knows."""
    context = Context(
        screen=draw.choice([None, *Screen]),
        placement=draw.choice([None, *Placement]),
        cart=tuple(draw.sample([*_IDS, *_OFFERS], 2)),
        basket_product=draw.choice([None, *_IDS]),
    )
    return Question(
        user_id=draw.randrange(USERS + 10),
        channel=draw.choice([Channel.MOBILE, Channel.MOBILE, Channel.WEB, Channel.WEB, Channel.CRM]),
        kind=draw.choice([Kind.PRODUCT, Kind.PRODUCT, Kind.OFFER, None]),
        top_k=draw.randint(1, 12),
        families=frozenset(draw.sample(_FAMILIES, 2)) if draw.random() < 0.1 else frozenset(),
        exclude=frozenset(draw.sample([*_IDS, *_OFFERS], 5)) if draw.random() < 0.2 else frozenset(),
        context=context if draw.random() < 0.3 else NO_CONTEXT,
    )
