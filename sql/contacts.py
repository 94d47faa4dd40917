"""What exports and audiences do with contacts, as events that the contact policy counts.

An event is named `<export or audience>/<user>/…`: by that what is sent or given back settles what was reserved.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.columns import EVENT_ID, EVENT_TIME, EVENT_TYPE, PRODUCT_ID, USER_ID
from data_contracts.overlay import EventRow, row_of
from data_contracts.overlay.kinds import CAMPAIGNS
from data_contracts.vocabulary import CampaignEvent, ContactEvent
from sql.client import Store
from sql.user_events import put_alike

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Contacts:
    """Of one export or audience, by its id. Users [N] and what each is told of [N]; moments in microseconds since 1970.

    Whatever is put twice counts once.
    """

    name: str
    channel: str

    def reserve(self, store: Store, users: Ints, items: pa.Array, *, at: int, until: int) -> None:
        self._put(store, ContactEvent.RESERVED, users, items, at=at, until=until)

    def count(self, store: Store, users: Ints, items: pa.Array, *, at: int) -> None:
        """They were sent: what was reserved for these users is settled."""
        self._put(store, CampaignEvent.SENT, users, items, at=at)

    def hold_out(self, store: Store, users: Ints, item: str, *, at: int) -> None:
        """Nobody is to tell them of the item."""
        self._put(store, CampaignEvent.HELD_OUT, users, pa.array([item] * len(users), pa.string()), at=at)

    def give_back(self, store: Store, *, at: int) -> None:
        """Whatever is reserved or held out here, and was not sent, counts no longer."""
        like = self._like(ContactEvent.RELEASED, at=at)
        if like is not None:
            store.run(
                "user_events_v1/release",
                name=self.name,
                channel=self.channel,
                at=at,
                topic=like.topic,
                event_type=like.event_type,
                last_cut_off=like.last_cut_off,
                expires_at=like.expires_at,
            )

    def _put(
        self,
        store: Store,
        word: CampaignEvent | ContactEvent,
        users: Ints,
        items: pa.Array,
        *,
        at: int,
        until: int | None = None,
    ) -> None:
        like = self._like(word, at=at, until=until)
        if like is None or not len(users):
            return
        ends = [] if word is CampaignEvent.SENT else [word.value]
        names = pc.binary_join_element_wise(self.name, pa.array(users).cast(pa.string()), items, *ends, "/")
        put_alike(store, like, user_ids=users, event_ids=names, item_ids=items)

    def _like(self, word: CampaignEvent | ContactEvent, *, at: int, until: int | None = None) -> EventRow | None:
        """What all such events have; None where the contact policy needs none."""
        event = {
            EVENT_ID: "",
            EVENT_TIME: at,
            USER_ID: 0,
            PRODUCT_ID: "",
            "channel": self.channel,
            EVENT_TYPE: word.value,
            "until": until,
        }
        return row_of(CAMPAIGNS, event, arrived=at, skew=0)
