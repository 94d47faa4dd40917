"""Who may be in an audience now: overlay, policy and contact policy, for a page of users at once. Pure."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from api.crowds import Ground, users_of_table
from api.crowds import Wanted as Asked
from api.overlay_changes import Changes
from api.serving import Serving
from api.times import Moment
from data_contracts.columns import USER_ID
from data_contracts.contact_policy import contact_policy
from data_contracts.contacts import contact_allowed, contacted_within, send_after
from data_contracts.overlay.rows import micros
from data_contracts.policy import kept, may_profile
from data_contracts.policy.users import CHANNEL_CONSENT
from data_contracts.vocabulary import Channel
from sql.audience_pool import Page

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """`product`: position in the serving catalogue. `segments` empty for all; `contacted_days` 0 for no such wish."""

    product_id: str
    product: int
    channel: Channel
    segments: frozenset[int] = frozenset()
    exclude_holders: bool = False
    contacted_days: float = 0


def admitted(serving: Serving, moment: Moment, wanted: Wanted, page: Page) -> Bools:
    """Of a page's users [U]: whether they may be contacted about the product; who has no state may not.

    As a look-up that asks for this product alone, and as the contact policy has it.
    """
    if not page.states.num_rows:
        return np.zeros(page.users.num_rows, np.bool_)
    states, user_ids = _aligned(page)
    is_there = states["is_there"].to_numpy(zero_copy_only=False)
    users = users_of_table(Ground(serving, Asked(wanted.channel)), states)
    changes = moment.changes(serving, page.events if page.events.num_rows else None)
    if changes is not None:
        users = changes.seen_now(users, user_ids.tolist())
    items = np.full((len(user_ids), 1), wanted.product, dtype=np.int32)
    is_in = kept(serving.policy, users, items, channel=wanted.channel, top_k=1)[:, 0]
    is_in = is_in & is_there & may_profile(users)
    if wanted.segments:
        is_in &= np.isin(states["segment"].to_numpy(), sorted(wanted.segments))
    if wanted.exclude_holders:
        of_family = serving.policy.family == serving.policy.family[wanted.product]
        is_in &= ~(users.holdings & of_family).any(axis=1)
    return np.asarray(
        is_in if changes is None else is_in & _may_be_told(changes, moment, wanted, user_ids, page.events)
    )


def sent_after(moment: Moment, wanted: Wanted, page: Page) -> NDArray[np.datetime64]:
    """Of a page's users [U], in their order: the earliest moment at which they may be told, UTC, NaT for at once."""
    regions = _aligned(page)[0]["region"].to_numpy() if page.states.num_rows else np.full(page.users.num_rows, -1)
    return send_after(contact_policy(), wanted.channel, regions, now=micros(moment.now))


def _may_be_told(changes: Changes, moment: Moment, wanted: Wanted, user_ids: Ints, events: pa.Table) -> Bools:
    """Whom events and the contact policy let be contacted."""
    now, about, channel = micros(moment.now), (wanted.product_id,), wanted.channel
    refused = contact_allowed(contact_policy(), events, user_ids=user_ids, items=about, channel=channel, now=now)[:, 0]
    told = contacted_within(events, user_ids=user_ids, days=wanted.contacted_days, now=now)
    known = np.array(list(changes.rows), dtype=np.int64)
    bits = (changes.suppressed[:, wanted.product] | changes.withdrawn) & CHANNEL_CONSENT[channel]
    suppressed = np.isin(user_ids, known[bits[list(changes.rows.values())] != 0])
    return np.asarray((refused == 0) & ~told & ~suppressed)


def _aligned(page: Page) -> tuple[pa.Table, Ints]:
    """States, of which there are some, in the order of the page's users; who `is_there` not has somebody else's."""
    user_ids = page.users[USER_ID].to_numpy().astype(np.int64)
    ids = page.states[USER_ID].to_numpy().astype(np.int64)
    order = np.argsort(ids, kind="stable")
    place = order[np.minimum(np.searchsorted(ids, user_ids, sorter=order), len(ids) - 1)]
    states = page.states.take(pa.array(place)).combine_chunks()
    is_there = ids[place] == user_ids
    return states.append_column("is_there", pa.array(is_there)), user_ids
