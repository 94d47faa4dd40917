"""The store on ClickHouse: our statements' rows as the values that serving uses."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from api.opted_out import CHANNELS
from api.store import (
    ITEMS,
    FallbackLists,
    Found,
    Lists,
    Pointers,
    PortraitFeature,
    Ranked,
    Reopened,
    RuleSet,
    SnapshotRow,
    UserState,
)
from api.threads import at_once
from data_contracts.errors import UnavailableError
from data_contracts.experiments import MADE_ON_DEMAND
from data_contracts.night import parse_snapshot_id
from data_contracts.overlay import KINDS, Effect
from data_contracts.policy.users import CHANNEL_CONSENT
from data_contracts.suppressions import ALL
from data_contracts.vocabulary import Channel, SuppressionEvent, Tier, Variant
from sql.client import Address, AsyncStore, connected_async
from sql.pointer import read_pointers_async
from sql.rules import current_rule_set_async
from sql.states import State
from sql.user_events import are_mirrored, events_of, read_lag

_APP = sum(int(CHANNEL_CONSENT[channel]) for channel in CHANNELS)
# What is suppressed in a channel in part counts as well: in memory nobody knows of which product it is.
_WITHDRAWALS = sorted({str(kind.event_type) for kind in KINDS if kind.effect is Effect.WITHDRAW or kind.in_channel})
_FINALS = sorted({str(kind.event_type) for kind in KINDS if kind.effect is Effect.ERASE})
_OPTING = {
    "event_types": [
        *_WITHDRAWALS,
        *_FINALS,
        *sorted({str(one.event_type) for one in KINDS if one.effect is Effect.GIVE}),
    ],
    "withdrawals": _WITHDRAWALS,
    "finals": _FINALS,
    "lift": SuppressionEvent.LIFTED.value,
}
_OTHERS = frozenset(MADE_ON_DEMAND)


class ClickHouseStore:
    """Connects when it is first asked, and again after it could not, so that a service starts without a database."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lifetime = AsyncExitStack()
        self._connected: AsyncStore | None = None
        self._connecting = asyncio.Lock()
        self._has_events = False

    async def pointers(self) -> Pointers:
        now = await read_pointers_async(await self._store())
        return Pointers(now.snapshot_id or "", now.rules_seq, frozenset(now.blocked_items))

    async def rule_set(self) -> RuleSet | None:
        approved = await current_rule_set_async(await self._store())
        return RuleSet(approved.catalogue, approved.rules, approved.reasons) if approved else None

    async def snapshot_items(self, snapshot_id: str) -> pa.Table:
        store = await self._store()
        table = await store.table("items_v1/read", snapshot_id=snapshot_id)
        # In a thread: there may be 300,000 of them, and requests are answered meanwhile.
        return await at_once(lambda: table.select(ITEMS.names).cast(ITEMS).combine_chunks())

    async def fallback_lists(self, snapshot_id: str) -> FallbackLists:
        store = await self._store()
        rows = await store.rows("fallback_lists_v1/read", snapshot_id=snapshot_id)
        lists = {(tier, segment): _lists(arrays) for tier, segment, *arrays in rows}
        return FallbackLists(
            popular=lists.get((Tier.POPULAR.value, 0), Lists()),
            segments={segment: one for (tier, segment), one in lists.items() if tier == Tier.SEGMENT},
        )

    async def look_up(self, snapshot_id: str, user_ids: Sequence[int], *, cut_off: int) -> Found:
        store = await self._store()
        await self._require_events(store)
        rows = await store.few_rows("user_rows_v1/lookup", snapshot_id=snapshot_id, user_ids=list(user_ids))
        read = [(of_snapshot, user_id, orjson.loads(body)) for of_snapshot, user_id, body in rows]
        bodies = {user_id: body for of_snapshot, user_id, body in read if of_snapshot}
        events = ((user_id, *event) for of_snapshot, user_id, event in read if not of_snapshot)
        found = {user_id: _of_user(lists) for user_id, (lists, _) in bodies.items()}
        return Found(
            states={user_id: UserState(*state) for user_id, (_, states) in bodies.items() for state in states},
            lists={user_id: lists for user_id, lists in found.items() if lists is not None},
            events=await events_of(store, events, cut_off=cut_off, now=time.time()),
        )

    async def opted_out(self, snapshot_id: str, *, key: str) -> Mapping[Channel, NDArray[np.uint32]]:
        store = await self._store()
        customers = await store.table("user_state_v1/opted_out", snapshot_id=snapshot_id, key=key, channels=_APP)
        events = await store.table("user_events_v1/opted_out", key=key, **_OPTING)
        return await at_once(_opted_out, customers, events)

    async def newly_suppressed(self, *, key: str) -> Mapping[Channel, NDArray[np.uint32]]:
        rows = await (await self._store()).few_rows("suppressions_v1/newest", key=key)
        return {
            channel: np.array([hashed for where, hashed in rows if where in (channel.value, ALL)], np.uint32)
            for channel in CHANNELS
        }

    async def newly_lifted(self, snapshot_id: str, *, key: str) -> Reopened:
        store = await self._store()
        lifted = await store.few_rows("suppression_lifts_v1/newest", key=key)
        users = np.array([hashed for (hashed,) in lifted], np.uint32)
        if not len(users):
            return Reopened(users, {})
        asked = {"snapshot_id": snapshot_id, "key": key, "channels": _APP}
        customers = await store.table("user_state_v1/opted_out_of_lifted", **asked)
        events = await store.table("user_events_v1/opted_out_of_lifted", key=key, **_OPTING)
        return Reopened(users, _opted_out(customers, events))

    async def overlay_lag(self) -> float | None:
        return await read_lag(await self._store())

    async def snapshots(self) -> Sequence[SnapshotRow]:
        store = await self._store()
        rows = await store.rows("snapshots_v1/newest")
        held = [SnapshotRow(snapshot_id, state, at) for snapshot_id, state, _, at in rows if state != State.DROPPED]
        return sorted(held, key=lambda row: parse_snapshot_id(row.snapshot_id), reverse=True)

    async def portrait(self, snapshot_id: str, product_id: str) -> Sequence[PortraitFeature]:
        store = await self._store()
        rows = await store.rows("portraits_v1/of_product", snapshot_id=snapshot_id, product_id=product_id)
        return [PortraitFeature(*row) for row in rows]

    async def close(self) -> None:
        await self._lifetime.aclose()

    async def _require_events(self, store: AsyncStore) -> None:
        """Raises UnavailableError before the database's tables are those of this version: without a person's events
        nothing may be shown as personal.
        """
        if not self._has_events:
            self._has_events = await are_mirrored(store)
        if not self._has_events:
            raise UnavailableError(
                "ClickHouse lacks tables of this version: `recs snapshots` makes them, and `recs overlay` at its start"
            )

    async def _store(self) -> AsyncStore:
        async with self._connecting:
            if self._connected is None:
                self._connected = await self._lifetime.enter_async_context(connected_async(self._address))
            return self._connected


def _opted_out(customers: pa.Table, events: pa.Table) -> Mapping[Channel, NDArray[np.uint32]]:
    hashes, consents = (customers[name].to_numpy() for name in ("user_hash", "consents"))
    told, where = events["user_hash"].to_numpy(), events["channel"].to_numpy()
    return {
        channel: np.concatenate([hashes[consents & CHANNEL_CONSENT[channel] == 0], told[where == channel.value]])
        for channel in CHANNELS
    }


def _of_user(rows: Sequence[Sequence[Any]]) -> Lists | None:
    """A user's lists, by variant; None where there are none that are served."""
    by_variant = {variant: _lists(arrays) for variant, *arrays in rows}
    others = {Variant(variant): lists for variant, lists in by_variant.items() if variant in _OTHERS}
    personal = by_variant.get(Variant.PERSONAL)
    if not others:
        return personal
    return replace(personal or Lists(), variants=others)


def _lists(arrays: Sequence[Sequence[int]]) -> Lists:
    """The six arrays of a row, in the order that every list statement selects them."""
    return Lists(products=Ranked(*arrays[:3]), offers=Ranked(*arrays[3:]))
