"""Why an answer was as it was: from its log, the snapshot it names, and the events and rules of that moment.

Nothing here asks the pointer, so a later snapshot or a rollback changes no explanation. Nor does an experiment that
runs today: whose lists an answer was made of, and what was drawn for it, the log says.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from api.explaining import Rebuilt, rebuilt
from api.explanation_models import Explanation
from api.explanation_writer import context_of, is_same, kind_of, variants_of, written
from api.layout import Question
from api.models import Locale
from api.refusals import GoneError, InvalidError, UnknownError
from api.service import Service
from api.serving import Serving, Snapshot
from api.store import RuleSet
from api.times import Moment
from data_contracts.errors import InputError
from data_contracts.overlay.rows import micros
from data_contracts.policy import policy_hash
from data_contracts.rec_id import RecId, claimed, verified
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Family, Tier
from sql.client import Address, Store, connected
from sql.looking_back import LoggedAnswer, logged_answer
from sql.rules import blocked_between, rule_sets_between
from sql.states import State, state_of
from sql.user_events import events_known_at

# A service follows rules by polling: for a time after a change it still answered by those before.
_FOLLOWS_WITHIN = timedelta(minutes=2)
# Nor did it know of events that were stored while it waited for the database and wrote the answer.
_ANSWERS_WITHIN = timedelta(seconds=5)
_CLOCKS_DIFFER_BY = timedelta(minutes=5)


@dataclass(frozen=True)
class _Rules:
    rule_set: RuleSet
    blocks: frozenset[str]

    @property
    def hash(self) -> str:
        return policy_hash(self.rule_set.catalogue, self.rule_set.rules, self.blocks)


@dataclass(frozen=True)
class _Past:
    """What ClickHouse keeps of an answer's moment; events and rules that it may have gone by, likeliest first."""

    logged: LoggedAnswer
    is_held: bool
    events: Sequence[pa.Table]
    rules: Sequence[_Rules]


async def explanation(
    service: Service, settings: Settings, rec_id: str, *, user_id: int | None, locale: Locale
) -> Explanation:
    """Raises InvalidError for a forged id, UnknownError for one never logged, GoneError for what is no longer kept."""
    about = _checked(rec_id, user_id=user_id, settings=settings, now=service.clock())
    moment = service.watch.moment(Snapshot(about.snapshot_id), about.time)
    past = await asyncio.to_thread(_past, settings, rec_id, about, moment)
    if past is None:
        raise UnknownError("no such answer was logged: it may still be on its way, or was not given by us")
    _verified(rec_id, user_id=past.logged.user_id, settings=settings)
    if not past.is_held:
        raise GoneError(f"snapshot {about.snapshot_id}, which this answer came from, is no longer kept")
    serving = await _serving(service, past, about, moment)
    again = await _again(service, serving, past, moment)
    return written(
        rec_id,
        about,
        past.logged,
        serving=serving,
        again=again.answer,
        is_static=again.is_static,
        events=again.events,
        todays_hash=service.watch.serving.policy.hash,
        locale=locale,
    )


def _checked(rec_id: str, *, user_id: int | None, settings: Settings, now: datetime) -> RecId:
    try:
        about = claimed(rec_id)
        _ = Snapshot(about.snapshot_id).as_of
    except InputError as error:
        raise InvalidError("rec_id: not one of ours", field="rec_id") from error
    if user_id is not None:
        _verified(rec_id, user_id=user_id, settings=settings)
    if about.time > now + _CLOCKS_DIFFER_BY:
        raise InvalidError("rec_id: lies in the future", field="rec_id")
    if now - about.time > timedelta(days=settings.rec_id_days):
        raise GoneError(f"answers are explained for {settings.rec_id_days} days")
    return about


def _verified(rec_id: str, *, user_id: int, settings: Settings) -> None:
    try:
        verified(rec_id, user_id=user_id, key=settings.signing_key)
    except InputError as error:
        raise InvalidError(str(error), field="rec_id") from error


def _past(settings: Settings, rec_id: str, about: RecId, moment: Moment) -> _Past | None:
    at = micros(about.time)
    with connected(Address.of(settings), timeout_seconds=10) as store:
        logged = logged_answer(store, rec_id, at=at)
        if logged is None:
            return None
        snapshot_id = about.snapshot_id
        is_held = not snapshot_id or state_of(store, snapshot_id) not in (None, State.DROPPED)
        return _Past(
            logged=logged,
            is_held=is_held,
            events=events_known_at(
                store,
                logged.user_id,
                cut_off=moment.cut_off_micros,
                at=at,
                read_within=_ANSWERS_WITHIN // timedelta(microseconds=1),
            ),
            rules=_rules(store, since=micros(about.time - _FOLLOWS_WITHIN), at=at),
        )


def _rules(store: Store, *, since: int, at: int) -> Sequence[_Rules]:
    blocked = blocked_between(store, since, at)
    return [
        _Rules(RuleSet(one.catalogue, one.rules, one.reasons), blocks)
        for one in rule_sets_between(store, since, at)
        for blocks in blocked
    ]


async def _serving(service: Service, past: _Past, about: RecId, moment: Moment) -> Serving:
    """What served then. Where its rules cannot be found again: the likeliest, and the answer says so."""
    today = service.watch.serving
    possible = (*past.rules, _Rules(today.rule_set, today.blocks))
    rules = next((one for one in possible if one.hash == about.policy_hash), possible[0])
    snapshot = await _snapshot(service, about.snapshot_id)
    return await asyncio.to_thread(
        Serving.of,
        snapshot,
        rules.rule_set,
        rules.blocks,
        today=moment.today,
    )


async def _snapshot(service: Service, snapshot_id: str) -> Snapshot:
    held = service.watch.serving.snapshot
    if not snapshot_id:
        return Snapshot()
    if held.is_whole and held.snapshot_id == snapshot_id:
        return held
    items, fallback = await asyncio.gather(
        service.store.snapshot_items(snapshot_id), service.store.fallback_lists(snapshot_id)
    )
    return Snapshot(snapshot_id, items, fallback, is_whole=True)


def _question(logged: LoggedAnswer) -> Question:
    return Question(
        user_id=logged.user_id,
        channel=Channel(logged.channel),
        kind=kind_of(logged),
        top_k=logged.top_k,
        families=frozenset(map(Family, logged.families)),
        exclude=frozenset(logged.exclude),
        context=context_of(logged),
    )


@dataclass(frozen=True)
class _Again:
    """An answer made again, and by how many events; `is_static`: from memory, as where the database was not in time."""

    answer: Rebuilt
    events: int = 0
    is_static: bool = False


async def _again(service: Service, serving: Serving, past: _Past, moment: Moment) -> _Again:
    question, logged = _question(past.logged), past.logged
    from_memory = rebuilt(serving, question, None, propensities=logged.propensities)
    if not serving.snapshot_id or (logged.tier == Tier.STATIC and is_same(from_memory, logged)):
        return _Again(from_memory, is_static=True)
    found = await service.store.look_up(serving.snapshot_id, [question.user_id], cut_off=moment.cut_off_micros)

    def by(events: pa.Table) -> _Again:
        data = moment.user_data(serving, replace(found, events=events))
        data = replace(data, chosen=variants_of(logged))
        return _Again(rebuilt(serving, question, data, propensities=logged.propensities), events.num_rows)

    possible = [by(events) for events in past.events]
    return next((one for one in possible if is_same(one.answer, logged)), possible[0])
