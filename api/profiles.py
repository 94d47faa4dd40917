"""What is known of one user: the served snapshot's row and list, and what events changed since."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from api.answers import probability, reason_codes
from api.layout import users_of
from api.profile_models import Attributes, Consents, Holding, ListedItem, Profile, RecentEvent
from api.refusals import UnknownError
from api.service import Service
from api.serving import Snapshot
from api.store import Lists, Ranked, UserState
from data_contracts.columns import ITEM_ID
from data_contracts.errors import UnavailableError
from data_contracts.overlay import EVENTS, Overlay
from data_contracts.policy import Consent
from data_contracts.settings import Settings
from sql.client import Address, connected
from sql.looking_back import PastEvent, recent_events

TOP_ITEMS, MOST_EVENTS = 10, 50


async def profile(service: Service, settings: Settings, user_id: int) -> Profile:
    """Raises UnknownError where neither the snapshot nor any event knows them, UnavailableError without a database."""
    watch = service.watch
    snapshot = watch.serving.snapshot
    if not snapshot.is_whole:
        raise UnavailableError("no snapshot is served now")
    moment = watch.moment(snapshot)
    found, recent = await asyncio.gather(
        service.store.look_up(snapshot.snapshot_id, [user_id], cut_off=moment.cut_off_micros),
        asyncio.to_thread(_recent, settings, user_id),
    )
    lists = found.lists.get(user_id, Lists())
    if user_id not in found.lists and user_id not in found.states and not recent:
        raise UnknownError("neither the snapshot that is served nor any stored event knows this user")
    changes = moment.overlay(EVENTS.empty_table() if found.events is None else found.events)
    state = found.states.get(user_id)
    return Profile(
        user_id=user_id,
        snapshot_id=snapshot.snapshot_id,
        is_known=bool(users_of(watch.serving, [state or UserState()]).known[0]),
        segment=state.segment if state else None,
        holdings=holdings_now(snapshot.items, state or UserState(), changes),
        consents=consents_now(state or UserState(), changes),
        attributes=attributes(state or UserState()),
        top_products=_top(snapshot, lists.products),
        top_offers=_top(snapshot, lists.offers),
        recent_events=[_event(one) for one in recent],
    )


def _recent(settings: Settings, user_id: int) -> Sequence[PastEvent]:
    with connected(Address.of(settings), timeout_seconds=10) as store:
        return recent_events(store, user_id, most=MOST_EVENTS)


def holdings_now(items: pa.Table, state: UserState, changes: Overlay) -> list[Holding]:
    """Of one user, whose events alone `changes` is of."""
    before = {items[ITEM_ID][code].as_py() for code in state.holdings}
    opened = set(changes.held.names)
    return [
        Holding(product_id=product_id, seen_in="snapshot" if product_id in before else "events")
        for product_id in sorted((before - set(changes.released.names)) | opened)
    ]


def consents_now(state: UserState, changes: Overlay) -> Consents:
    given, withdrawn = (int(np.bitwise_or.reduce(bits, initial=0)) for bits in (changes.given, changes.withdrawn))
    now = (state.consents | given) & ~withdrawn
    return Consents(
        mobile=bool(now & Consent.MOBILE),
        web=bool(now & Consent.WEB),
        crm=bool(now & Consent.CRM),
        profiling=bool(now & Consent.PROFILING),
    )


def attributes(state: UserState) -> Attributes:
    """The sentinels of `user_state` as nulls."""
    return Attributes(
        birth_year=state.birth_year or None,
        region=_unless_negative(state.region),
        income_band=_unless_negative(state.income_band),
        employment=state.employment or None,
        score_band=state.score_band or None,
        arrears_days=_unless_negative(state.arrears_days),
    )


def _unless_negative(value: int) -> int | None:
    return value if value >= 0 else None


def _top(snapshot: Snapshot, ranked: Ranked) -> list[ListedItem]:
    ids = snapshot.items[ITEM_ID]
    rows = zip(ranked.items[:TOP_ITEMS], ranked.scores, ranked.reasons, strict=False)
    return [
        ListedItem(item_id=ids[code].as_py(), score=probability(score) or 0.0, reason_codes=list(reason_codes(reasons)))
        for code, score, reasons in rows
    ]


def _event(event: PastEvent) -> RecentEvent:
    return RecentEvent(
        at=event.at.isoformat(),
        topic=event.topic,
        event_type=event.event_type,
        item_id=event.item_id or None,
        channel=event.channel or None,
        family=event.family or None,
    )
