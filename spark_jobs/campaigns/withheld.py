"""Whom events keep back: opt-outs, suppressions and what was taken since the cut-off, and the contact policy. Pure.

What events mean is the overlay's and the contact policy's to say; here it becomes users by products.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_contracts.columns import USER_ID
from data_contracts.contact_policy import contact_policy
from data_contracts.contacts import contact_allowed
from data_contracts.overlay import EVENTS, Overlay, Pairs, Suppressed, overlay
from data_contracts.policy import CompiledPolicy
from data_contracts.policy.users import CHANNEL_CONSENT
from data_contracts.vocabulary import Channel, Family
from spark_jobs.campaigns.problem import Bools, Ints

_FAMILIES = tuple(family.value for family in Family)


@dataclass(frozen=True)
class Events:
    """EVENTS of everybody that may matter, and the moments that they are seen from, in microseconds since 1970.

    cut_off: of the snapshot; now: at which windows end; late: how long before the cut-off an event may have happened
    that the snapshot has not seen.
    """

    table: pa.Table
    cut_off: int
    now: int
    late: int = 0


NO_EVENTS = Events(EVENTS.empty_table(), cut_off=0, now=0)


@dataclass(frozen=True)
class Withheld:
    """Of T users with events, by ascending id, whether nothing may be said of a product, (T, P), in one channel."""

    user_ids: Ints
    withheld: Bools

    def of(self, user_ids: Ints) -> Bools:
        """(n, P) of any users."""
        found = np.zeros((len(user_ids), self.withheld.shape[1]), np.bool_)
        if len(self.user_ids):
            place = np.minimum(np.searchsorted(self.user_ids, user_ids), len(self.user_ids) - 1)
            has_events = self.user_ids[place] == user_ids
            found[has_events] = self.withheld[place[has_events]]
        return found


def withheld(events: Events, *, policy: CompiledPolicy, channel: Channel) -> Withheld:
    changes = overlay(events.table, cut_off=events.cut_off, now=events.now, late=events.late)
    user_ids = np.unique(events.table[USER_ID].to_numpy())
    found = np.zeros((len(user_ids), policy.products), np.bool_)
    bit, rows = int(CHANNEL_CONSENT[channel]), np.searchsorted(user_ids, changes.user_ids)
    found[rows] = _by_overlay(changes, policy, bit)
    found |= (
        contact_allowed(
            contact_policy(), events.table, user_ids=user_ids, items=policy.product_ids, channel=channel, now=events.now
        )
        > 0
    )
    return Withheld(user_ids, found)


def _by_overlay(changes: Overlay, policy: CompiledPolicy, bit: int) -> Bools:
    found = np.zeros((len(changes.user_ids), policy.products), np.bool_)
    found[(changes.withdrawn & bit) != 0] = True
    for pairs in (changes.held, changes.suppressed, changes.families_of):
        for row, name in _named(pairs, bit):
            if name in policy.position:
                product = policy.position[name]
                same = policy.family == policy.family[product] if pairs is changes.families_of else product
                found[row, same] = True
    for row, name in _named(changes.families, bit):
        if name in _FAMILIES:
            found[row, policy.family == _FAMILIES.index(name)] = True
    return found


def _named(pairs: Pairs, bit: int) -> list[tuple[int, str]]:
    here = (pairs.channels & bit) != 0 if isinstance(pairs, Suppressed) else np.ones(len(pairs), np.bool_)
    return [(int(pairs.rows[place]), pairs.names[place]) for place in np.flatnonzero(here)]
