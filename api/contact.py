"""What the contact policy keeps back from users of a batch, where being shown is being sent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from api.serving import Candidate, Candidates, Serving
from data_contracts.columns import USER_ID
from data_contracts.contact_policy import contact_policy
from data_contracts.contacts import contact_allowed, has_contacts
from data_contracts.vocabulary import Channel, Kind


@dataclass(frozen=True)
class KeptBack:
    """By channel, of T users [T, P + 1]: products, and last what is said of no product, which offers go by."""

    rows: Mapping[int, int]
    refused: Mapping[Channel, NDArray[np.bool_]]

    @classmethod
    def of(cls, serving: Serving, events: pa.Table, *, channels: Collection[Channel], now: int) -> Self | None:
        """`events`: EVENTS of some users; `channels`: those asked for; `now` in microseconds."""
        policy = contact_policy()
        sending = [channel for channel in policy.sending if channel in channels]
        if not sending or not has_contacts(events):
            return None
        user_ids = np.unique(events[USER_ID].to_numpy())
        items = (*serving.policy.product_ids, "")
        return cls(
            rows={user_id: row for row, user_id in enumerate(user_ids.tolist())},
            refused={
                channel: contact_allowed(policy, events, user_ids=user_ids, items=items, channel=channel, now=now) > 0
                for channel in sending
            },
        )

    def holds(self, user_id: int, channel: Channel, one: Candidate) -> bool:
        return not self.left(user_id, channel, (one,))

    def left(self, user_id: int, channel: Channel, found: Candidates) -> Candidates:
        row = self.rows.get(user_id)
        if row is None or channel not in self.refused:
            return found
        refused = self.refused[channel][row]
        if not refused.any():
            return found
        return tuple(one for one in found if not refused[one.index if one.kind is Kind.PRODUCT else -1])
