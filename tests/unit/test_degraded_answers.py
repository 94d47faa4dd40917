"""No answer breaks a rule however the day goes wrong: 100,000 random ones on each degraded path (`make chaos`).

The paths run as in the service, from the watch of the pointers to the look-up, without a database and HTTP. What they
answer is judged by the checker, which shares no code with the policy; each path is shown to be found out where a single
item is let through that the policy bars.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from api import recommend as recommending
from api.breaker import Breaker
from api.layout import Layout, Question
from api.lookup import Lookup
from api.opted_out import OptOuts
from api.recommend import Reply
from api.room import PLACE, Place
from api.serving import Serving
from api.static_copy import SHIPPED, StaticCopy
from api.store import FallbackLists
from api.times import Times
from api.watch import Watch
from data_contracts.errors import UnavailableError
from data_contracts.policy import Decision, Drop
from data_contracts.vocabulary import Channel, Kind, Tier
from tests.day_world import NOW
from tests.degraded_worlds import PROFILING, QUESTIONS, BreakableStore, World, world
from tests.policy_checker import Checker, Person

ANSWERS = [10_000, pytest.param(100_000, marks=pytest.mark.chaos)]
PLANT_SEED = 1_000_003
BANK = ZoneInfo("Europe/Moscow")
OLD = "2026-03-12.1"


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Day:
    """A service's parts while something is wrong, and the world that it can know of."""

    world: World
    clock: Clock
    lookup: Lookup

    async def replies(self) -> list[Reply]:
        """Some asked alone, as over REST and gRPC; the others in a batch."""
        alone, together = self.world.questions[:50], self.world.questions[50:]
        return [*await asyncio.gather(*map(self.lookup.ask, alone)), *await self.lookup.ask_many(together)]


def _as_it_is(given: World) -> World:
    return given


def _nothing(_: BreakableStore) -> None: ...


@dataclass(frozen=True)
class Way:
    """How it goes wrong. `tiers`: that its items may be of. `is_told`: whether users can be looked up.

    `of`: the world that the service knows. `was_up`: whether its database once was; `restarts`: and the service began
    after that. `breaks`: what happens to the database then, `later` being the time that goes by; `is_full`: the service
    has no room to ask it.
    """

    tiers: frozenset[Tier]
    is_told: bool = False
    of: Callable[[World], World] = _as_it_is
    was_up: bool = True
    restarts: bool = False
    breaks: Callable[[BreakableStore], None] = _nothing
    later: timedelta = timedelta()
    is_full: bool = False

    async def opened(self, given: World, folder: Path) -> Day:
        known, clock = self.of(given), Clock()
        store = known.store()
        store.pointer = replace(store.pointer, snapshot_id=known.snapshot_id, blocks=known.blocks)
        watch, opt_outs = _watching(store, clock, folder)
        if self.was_up:
            await watch.poll(patience_seconds=60)
            assert await opt_outs.read(known.snapshot_id)
        if self.restarts:
            watch, opt_outs = _watching(store, clock, folder)
        self.breaks(store)
        clock.now += self.later
        await watch.poll(patience_seconds=60)
        PLACE.set(Place(may_ask_database=not self.is_full, since=0.0))
        breaker = Breaker(failures=5, retry_seconds=60, slow_seconds=60)
        deadline = 0.001 if store.hangs else 60.0
        lookup = Lookup(store, watch, deadline_seconds=deadline, breaker=breaker, has_opted_out=opt_outs.includes)
        return Day(known, clock, lookup)

    def somebody(self, given: World, question: Question) -> Person:
        if self.is_told:
            return given.somebody(question.user_id)
        return given.a_stranger(question.user_id, question.channel)


def _watching(store: BreakableStore, clock: Clock, folder: Path) -> tuple[Watch, OptOuts]:
    times = Times(BANK, max_age=timedelta(days=3), late=timedelta(days=2))
    watch = Watch(store, clock=clock, times=times, copy=folder / "copy.json")
    return watch, OptOuts(store, key=b"key", path=folder / "out.npz")


def _without_lists_of_their_own(given: World) -> World:
    """Nobody has any but those who do not agree to be profiled."""
    silent = {user for user, state in given.states.items() if state.consents and not state.consents & PROFILING}
    return replace(given, personal={user: one for user, one in given.personal.items() if user in silent})


def _without_segments(given: World) -> World:
    return replace(_without_lists_of_their_own(given), fallback=FallbackLists(given.fallback.popular))


def _as_shipped(given: World) -> World:
    copy = StaticCopy.load(SHIPPED)
    return replace(
        given,
        rule_set=copy.rule_set,
        blocks=frozenset(copy.blocks),
        item_ids=copy.snapshot.items["item_id"].to_pylist(),
        fallback=copy.snapshot.fallback,
        withdrawn={},
    )


def _is_away(store: BreakableStore) -> None:
    store.failure = UnavailableError("away")


def _hangs(store: BreakableStore) -> None:
    store.hangs = True


def _returns_errors(store: BreakableStore) -> None:
    store.look_up_failure = UnavailableError("no such table")


def _returns_nonsense(store: BreakableStore) -> None:
    store.look_up_failure = KeyError("a column that nobody foresaw")


_NOT_PERSONAL = frozenset(Tier) - {Tier.PERSONAL}
_STATIC = frozenset({Tier.STATIC})
NEVER = "the database was never there"
WAYS = {
    "nobody has a list of their own": Way(_NOT_PERSONAL, is_told=True, of=_without_lists_of_their_own),
    "there are popular lists alone": Way(frozenset({Tier.POPULAR, Tier.STATIC}), is_told=True, of=_without_segments),
    "the snapshot is too old": Way(_NOT_PERSONAL, is_told=True, of=lambda given: replace(given, snapshot_id=OLD)),
    "the policy data of users are missing": Way(
        frozenset(Tier), is_told=True, of=lambda given: replace(given, states={})
    ),
    NEVER: Way(_STATIC, of=_as_shipped, was_up=False, breaks=_is_away),
    "the database is away from the start": Way(_STATIC, restarts=True, breaks=_is_away),
    "the database goes away": Way(_STATIC, breaks=_is_away),
    "the database is away past midnight": Way(_STATIC, breaks=_is_away, later=timedelta(days=1)),
    "the database hangs": Way(_STATIC, breaks=_hangs),
    "the database returns errors": Way(_STATIC, breaks=_returns_errors),
    "the database returns nonsense": Way(_STATIC, breaks=_returns_nonsense),
    "the service has no room": Way(_STATIC, is_full=True),
}


async def judged(way: Way, seed: int, folder: Path) -> tuple[int, list[str]]:
    """How many items were shown, and all that is wrong with them."""
    day = await way.opened(world(seed), folder)
    replies = await day.replies()
    return sum(len(reply.shown) for reply in replies), list(faults(way, day, replies))


def faults(way: Way, day: Day, replies: Sequence[Reply]) -> Iterator[str]:
    """What is wrong with the answers, each told with its question."""
    checker = day.world.checker(day.clock.now.astimezone(BANK).date())
    for question, reply in zip(day.world.questions, replies, strict=True):
        person = way.somebody(day.world, question)
        shown = {kind: list(_ids(reply, kind)) for kind in Kind}
        found = [*_against_rules(checker, person, question, shown), *_against_wishes(way, question, reply)]
        found += [f"{one}: unwanted" for ids in shown.values() for one in ids if not _is_wanted(checker, question, one)]
        if len(reply.shown) < question.top_k and len(question.kinds) == 1:
            offered = day.world.lists_of_all(question.user_id, question.kinds[0], is_told=way.is_told)
            left = [one for one in offered - {*shown[question.kinds[0]]} if _is_wanted(checker, question, one)]
            found += [
                f"{one}: left out, though there is room"
                for one in left
                if not _objections(checker, person, question, one, shown)
            ]
        yield from (f"{fault} in the answer to {question}" for fault in found)


def _against_rules(
    checker: Checker, person: Person, question: Question, shown: Mapping[Kind, list[str]]
) -> Iterator[str]:
    said = {"channel": question.channel, "top_k": question.top_k}
    yield from checker.violations(person, shown[Kind.PRODUCT], **said)
    yield from checker.offer_violations(person, shown[Kind.OFFER], **said)


def _against_wishes(way: Way, question: Question, reply: Reply) -> Iterator[str]:
    if len(reply.shown) > question.top_k:
        yield f"{len(reply.shown)} items"
    tiers = {one.tier for one in reply.shown} | {reply.tier}
    if not tiers <= way.tiers:
        yield f"said to be {', '.join(tiers - way.tiers)}"


def _objections(
    checker: Checker, person: Person, question: Question, one: str, shown: Mapping[Kind, list[str]]
) -> list[str]:
    if question.kinds == (Kind.PRODUCT,):
        return checker.objections(person, one, shown[Kind.PRODUCT], channel=question.channel)
    return checker.offer_objections(person, one, shown[Kind.OFFER], channel=question.channel)


def _ids(reply: Reply, kind: Kind) -> Iterator[str]:
    products, offers = reply.serving.policy.product_ids, reply.serving.snapshot.items["item_id"]
    for one in reply.shown:
        if one.kind is kind:
            yield products[one.index] if kind is Kind.PRODUCT else offers[one.index].as_py()


def _is_wanted(checker: Checker, question: Question, item_id: str) -> bool:
    product = checker.products.get(item_id)
    is_other = product is not None and question.families and product.family not in question.families
    return item_id not in question.exclude and not is_other


@pytest.mark.parametrize("answers", ANSWERS)
@pytest.mark.parametrize("name", WAYS)
def test_no_answer_breaks_a_rule_while(name: str, answers: int, tmp_path: Path) -> None:
    async def scene() -> int:
        items = 0
        for seed in range(answers // QUESTIONS):
            shown, found = await judged(WAYS[name], seed, tmp_path / str(seed))
            assert found == []
            items += shown
        return items

    assert asyncio.run(scene()) > answers / 2


decided = recommending.decided


@dataclass
class Planted:
    """Lets one item of one question through that the policy bars."""

    kind: Kind
    is_done: bool = False

    def __call__(self, serving: Serving, layout: Layout, kind: Kind, channel: Channel) -> Decision:
        decision = decided(serving, layout, kind, channel)
        barred = ~decision.keep & (decision.reason != Drop.NONE) & (decision.reason != Drop.BEYOND_TOP_K)
        places = [place for place in np.argwhere(barred) if layout.laid[place[0]].question.kind is kind]
        if self.is_done or kind is not self.kind or not places:
            return decision
        self.is_done = True
        keep = decision.keep.copy()
        keep[tuple(places[0])] = True
        return replace(decision, keep=keep)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in WAYS for kind in Kind if (name, kind) != (NEVER, Kind.OFFER)],  # it ships with no offers
)
def test_a_single_item_that_is_let_through_is_found_while(
    name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    way = replace(WAYS[name], of=lambda given: replace(WAYS[name].of(given), withdrawn={}))
    planted = Planted(kind)
    monkeypatch.setattr(recommending, "decided", planted)
    _, found = asyncio.run(judged(way, PLANT_SEED, tmp_path))
    assert planted.is_done
    assert len({fault.partition(" in the answer to ")[2] for fault in found}) == 1


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if not way.is_told and way.was_up])
def test_who_is_answered_in_spite_of_having_opted_out_is_found_while(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(OptOuts, "includes", lambda *_: False)
    _, found = asyncio.run(judged(WAYS[name], PLANT_SEED, tmp_path))
    assert any("suppressed" in fault for fault in found)
