"""Control groups of campaigns in ClickHouse, as events: so look-ups, lists, exports and audiences spare them too.

An event is one user and product, named `campaign/<day>/<assignment>/<campaign>/<user>/<product>`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.columns import EVENT_ID, EVENT_TIME, EVENT_TYPE, PRODUCT_ID, USER_ID
from data_contracts.overlay import EventRow, row_of
from data_contracts.overlay.kinds import CAMPAIGNS
from data_contracts.overlay.rows import micros
from data_contracts.vocabulary import CampaignEvent
from sql.client import Store
from sql.user_events import put_events, without_held_out

# Of an assignment's file (spark_jobs/campaigns/records.py): the columns that are read of it, and its word for those
# who are held out.
_GROUP, _CONTROL = "group", "control"
ASSIGNED_COLUMNS = (USER_ID, _GROUP, PRODUCT_ID)
_NAME, _AT_ONCE = "campaign/", 50_000


@dataclass(frozen=True)
class ControlGroup:
    """Of one campaign on one day: who is held out, and of all products that the campaign offers anybody that day."""

    campaign: str
    channel: str
    user_ids: NDArray[np.int64]
    product_ids: tuple[str, ...]

    @classmethod
    def of(cls, campaign: str, channel: str, assigned: pa.Table) -> Self:
        """assigned: the campaign's rows, with ASSIGNED_COLUMNS."""
        controls = assigned.filter(pc.equal(assigned[_GROUP], _CONTROL))
        users = np.sort(controls[USER_ID].to_numpy().astype(np.int64))
        return cls(campaign, channel, users, tuple(sorted(pc.unique(assigned[PRODUCT_ID]).to_pylist())))

    @property
    def events(self) -> int:
        return len(self.user_ids) * len(self.product_ids)


def hold_out(store: Store, groups: Sequence[ControlGroup], *, day: date, now: datetime) -> int:
    """Have nobody contact the groups about their products for the contact policy's `control_days`, from now on; the
    number of events that were put.

    `groups`: of all campaigns of the day. Again with the same groups puts nothing; what failed half-way is put as a
    whole. An assignment that replaces another of the day takes that one's events out, whoever is in both keeping
    the new ones: it is as if only the last had been made. Those of other days stay until they expire, also where
    their campaign is over or turned off: what it brought is still being measured. Taking out is a mutation, which only
    role `load` may do.
    """
    of_day = f"{_NAME}{day.isoformat()}/"
    mine = f"{of_day}{_mark(groups)}/"
    ((kept, others),) = store.rows("user_events_v1/held_out_of_day", day=of_day, kept=mine)
    rows = _rows(groups, mine, micros(now)) if kept < sum(one.events for one in groups) else iter(())
    put = 0
    while part := list(islice(rows, _AT_ONCE)):
        put_events(store, part)
        put += len(part)
    if others:
        without_held_out(store, day=of_day, kept=mine)
    return put


def before_day(events: pa.Table, day: date) -> pa.Table:
    """EVENTS without what campaigns of the day, or of a later one, hold out: an assignment of the day made again must
    find everybody whom the first one found.
    """
    of_campaign = pc.and_(
        pc.equal(events[EVENT_TYPE], CampaignEvent.HELD_OUT.value), pc.starts_with(events[EVENT_ID], _NAME)
    )
    start = len(_NAME)
    days = pc.utf8_slice_codeunits(events[EVENT_ID], start, start + len(day.isoformat()))
    return events.filter(pc.invert(pc.and_(of_campaign, pc.greater_equal(days, day.isoformat()))))


def held_out(event_id: str, *, user_id: int, product_id: str, channel: str, now: int) -> EventRow | None:
    """One user and product whom nobody is to bring together in a channel from `now` on, in microseconds; None where the
    contact policy keeps no such event.
    """
    event = {
        EVENT_ID: event_id,
        EVENT_TIME: now,
        USER_ID: user_id,
        PRODUCT_ID: product_id,
        "channel": channel,
        EVENT_TYPE: CampaignEvent.HELD_OUT.value,
    }
    return row_of(CAMPAIGNS, event, arrived=now, skew=0)


def _mark(groups: Sequence[ControlGroup]) -> str:
    """16 hex digits: equal for equal groups."""
    digest = hashlib.sha256()
    for one in sorted(groups, key=lambda group: group.campaign):
        digest.update("\0".join((one.campaign, one.channel, *one.product_ids, "")).encode())
        digest.update(one.user_ids.tobytes())
    return digest.hexdigest()[:16]


def _rows(groups: Sequence[ControlGroup], name: str, now: int) -> Iterator[EventRow]:
    for group in groups:
        for user_id in group.user_ids.tolist():
            for product_id in group.product_ids:
                event_id = f"{name}{group.campaign}/{user_id}/{product_id}"
                row = held_out(event_id, user_id=user_id, product_id=product_id, channel=group.channel, now=now)
                if row is not None:
                    yield row
