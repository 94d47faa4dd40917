"""Whom the contact policy lets be contacted about what. Pure and vectorised: one user and millions take the same path.

Consents and suppressions are the policy's and the overlay's; this is how often, when and beside what else. It counts
the same kept events (overlay.EVENTS): what campaigns sent, what users dismissed or complained of, and control groups.
What an export reserves counts as sent, until the export is sent, or gives it back, or the reservation is over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.columns import EVENT_ID, EVENT_TIME, EVENT_TYPE, ITEM_ID, USER_ID
from data_contracts.contact_policy import Cap, ContactPolicy, QuietHours
from data_contracts.overlay.distinct import distinct_events
from data_contracts.overlay.rows import CHANNEL
from data_contracts.quiet_hours import loud_from
from data_contracts.vocabulary import CampaignEvent, Channel, ContactEvent

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Refusals = NDArray[np.uint8]

COUNTED = (
    CampaignEvent.SENT.value,
    CampaignEvent.HELD_OUT.value,
    CampaignEvent.DISMISSED.value,
    CampaignEvent.COMPLAINED.value,
    ContactEvent.RESERVED.value,
    ContactEvent.RELEASED.value,
)
_COUNTED = pa.array(COUNTED)
_CHANNELS = pa.array([channel.value for channel in Channel])
_MINUTE, _DAY = 60_000_000, 86_400_000_000


class Refusal(IntEnum):
    """Why somebody may not be contacted. Where several rules speak against it, the lowest number is given."""

    NONE = 0
    CONTROL = 1  # in the control group of a campaign of the product
    EXCLUSIVE = 2  # in another campaign that excludes this one
    COOL_DOWN = 3
    CAPPED = 4
    QUIET = 5  # it is night where the user lives


def contact_allowed(
    policy: ContactPolicy,
    events: pa.Table,
    *,
    user_ids: Ints,
    items: Sequence[str],
    channel: Channel,
    now: int,
    regions: NDArray[np.int16] | None = None,
    campaign: str = "",
    members: Mapping[str, Ints] | None = None,
) -> Refusals:
    """`Refusal` of each user and item [U, I]; NONE where contact is allowed.

    `events`: EVENTS of these users, more do no harm; `now` in microseconds since 1970. `user_ids`: each once, in any
    order. An item "" is about nothing in particular: only what holds for a user speaks. `regions` [U] where something
    is sent now, None where it is only shown or prepared: quiet hours apply to sending. `campaign` and the `members`,
    user ids, of all that run: for campaigns that exclude each other.
    """
    seen = _Seen.of(events, user_ids, items, now)
    refused = np.zeros((len(user_ids), len(items)), dtype=np.uint8)
    # The last written wins, so the lowest number comes last.
    if regions is not None:
        refused[~np.isnat(_quiet_until(policy.quiet_hours, regions, now=now))] = Refusal.QUIET
    for cap in policy.caps:
        if cap.channel in (None, channel):
            refused[seen.counts(_capped(seen, cap), per=cap.per) >= cap.most] = Refusal.CAPPED
    for rule in policy.cool_downs:
        refused[seen.counts(seen.within(rule.after, rule.days), per=rule.per) > 0] = Refusal.COOL_DOWN
    refused[_is_elsewhere(policy.exclusive, user_ids, campaign, members or {})] = Refusal.EXCLUSIVE
    held_out = seen.within(CampaignEvent.HELD_OUT, policy.control_days)
    refused[seen.counts(held_out, per="product") > 0] = Refusal.CONTROL
    return refused


def send_after(
    policy: ContactPolicy, channel: Channel, regions: NDArray[np.integer[Any]], *, now: int
) -> NDArray[np.datetime64]:
    """The earliest moment at which something may be sent to users [U], UTC microseconds: the end of the quiet hours
    that it is where they live, NaT where it may go at once. Only in channels where being shown is being sent.

    `regions` [U]: one that the policy does not name, such as -1, has the usual time. `now` in microseconds since 1970.
    """
    if channel not in policy.sending:
        return np.full(len(regions), np.datetime64("NaT", "us"))
    return _quiet_until(policy.quiet_hours, regions, now=now)


def _quiet_until(hours: QuietHours, regions: NDArray[np.integer[Any]], *, now: int) -> NDArray[np.datetime64]:
    minute = now // _MINUTE
    ends = {zone: loud_from(hours, zone, minute) for zone in {hours.utc_offset, *hours.regions.values()}}
    found = np.full(len(regions), ends[hours.utc_offset])
    for region, zone in hours.regions.items():
        found[regions == region] = ends[zone]
    until = (found * _MINUTE).astype("datetime64[us]")
    until[found == minute] = np.datetime64("NaT")
    return until


def contacted_within(events: pa.Table, *, user_ids: Ints, days: float, now: int) -> Bools:
    """To whom anything was sent within so many days, [U]; events as for `contact_allowed`."""
    seen = _Seen.of(events, user_ids, ("",), now)
    return np.asarray(seen.counts(seen.within(CampaignEvent.SENT, days), per="user")[:, 0] > 0)


def without_own(events: pa.Table, name: str) -> pa.Table:
    """EVENTS as the export `name` is asked about by: without its own, and without what others reserved after it did.

    So of two exports that want the last contact of a user the one that was written first has it.
    """
    is_own = pc.starts_with(events[EVENT_ID], f"{name}/")
    is_reserved = pc.equal(events[EVENT_TYPE], ContactEvent.RESERVED.value)
    since = pc.min(events.filter(pc.and_(is_own, is_reserved))[EVENT_TIME])
    is_later = pc.fill_null(pc.and_(is_reserved, pc.greater_equal(events[EVENT_TIME], since)), fill_value=False)
    return events.filter(pc.invert(pc.or_(is_own, is_later)))


def has_contacts(events: pa.Table) -> bool:
    """Whether any event is one that the contact policy counts: for most users none is."""
    return bool(pc.any(pc.is_in(events[EVENT_TYPE], value_set=_COUNTED)).as_py())


@dataclass(frozen=True)
class _Seen:
    """Counted events of the users asked for, E of them, each once; `item` is a position in the items, -1 for others."""

    shape: tuple[int, int]
    user: Ints
    item: Ints
    kind: Ints  # position in COUNTED, what is reserved being sent
    channel: Ints
    age: Ints

    @classmethod
    def of(cls, events: pa.Table, user_ids: Ints, items: Sequence[str], now: int) -> "_Seen":
        counted = events.filter(pc.is_in(events[EVENT_TYPE], value_set=_COUNTED))
        order = np.argsort(user_ids, kind="stable")
        ids = counted[USER_ID].to_numpy()
        place = np.minimum(np.searchsorted(user_ids, ids, sorter=order), max(len(user_ids) - 1, 0))
        is_asked = user_ids[order[place]] == ids if len(user_ids) else np.zeros(len(ids), np.bool_)
        one_each = _in_force(distinct_events(counted.filter(pa.array(is_asked))))
        user = order[np.searchsorted(user_ids, one_each[USER_ID].to_numpy(), sorter=order)]
        return cls(
            shape=(len(user_ids), len(items)),
            user=user.astype(np.int64),
            item=_places(one_each[ITEM_ID], pa.array([item or None for item in items], pa.string())),
            kind=_places(one_each[EVENT_TYPE], _COUNTED),
            channel=_places(one_each[CHANNEL], _CHANNELS),
            age=np.maximum(now - one_each[EVENT_TIME].to_numpy(), 0),
        )

    def within(self, word: CampaignEvent, days: float) -> Bools:
        return np.asarray((self.kind == COUNTED.index(word.value)) & (self.age < days * _DAY))

    def counts(self, rows: Bools, *, per: str) -> Ints:
        """Of these events, by user and, where so wanted, item: [U, I] either way."""
        users, items = self.shape
        if per == "user":
            return np.broadcast_to(np.bincount(self.user[rows], minlength=users)[:, None], self.shape)
        about = rows & (self.item >= 0)
        return np.bincount(self.user[about] * items + self.item[about], minlength=users * items).reshape(self.shape)


def _in_force(events: pa.Table) -> pa.Table:
    """Distinct EVENTS without what was released, nor reservations of what was sent since; those left are as if sent."""
    is_a = {word: pc.equal(events[EVENT_TYPE], word) for word in COUNTED}
    is_reserved, is_released = is_a[ContactEvent.RESERVED.value], is_a[ContactEvent.RELEASED.value]
    if not pc.any(pc.or_(is_reserved, is_released)).as_py():
        return events
    maker = pc.list_element(pc.split_pattern(events[EVENT_ID], "/", max_splits=1), 0)
    whose = pc.binary_join_element_wise(events[USER_ID].cast(pa.string()), maker, "/")
    released, sent = (
        pc.is_in(whose, value_set=whose.filter(one).combine_chunks())
        for one in (is_released, is_a[CampaignEvent.SENT.value])
    )
    may_be_released = pc.or_(is_reserved, is_a[CampaignEvent.HELD_OUT.value])
    gone = pc.or_(is_released, pc.or_(pc.and_(may_be_released, released), pc.and_(is_reserved, sent)))
    as_sent = pc.if_else(is_reserved, CampaignEvent.SENT.value, events[EVENT_TYPE])
    return events.set_column(events.schema.get_field_index(EVENT_TYPE), EVENT_TYPE, as_sent).filter(pc.invert(gone))


def _capped(seen: _Seen, cap: Cap) -> Bools:
    sent = seen.within(CampaignEvent.SENT, cap.days)
    return sent if cap.channel is None else sent & (seen.channel == list(Channel).index(cap.channel))


def _is_elsewhere(
    groups: Iterable[frozenset[str]], user_ids: Ints, campaign: str, members: Mapping[str, Ints]
) -> Bools:
    others = {name for group in groups if campaign in group for name in group - {campaign}}
    taken = [members[name] for name in sorted(others) if name in members]
    return np.isin(user_ids, np.concatenate(taken)) if taken else np.zeros(len(user_ids), np.bool_)


def _places(column: pa.ChunkedArray, words: pa.Array) -> Ints:
    """Positions among the words, -1 for none of them."""
    found = pc.fill_null(pc.index_in(column, value_set=words), -1)
    return np.asarray(found.to_numpy()).astype(np.int64)
