"""What is kept of an event, and until when. Pure.

Of a search the family that it is about is kept and not its words, which may say anything about a person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from data_contracts.columns import EVENT_ID, EVENT_TIME, EVENT_TYPE, FAMILY, ITEM_ID, PRODUCT_ID, USER_ID
from data_contracts.events import newest
from data_contracts.overlay.kinds import FLEETING, KINDS, MICROS, SUPPRESSIONS, longest_window
from data_contracts.search import family_of_search
from data_contracts.vocabulary import SuppressionEvent, SuppressionKind

TOPIC, CHANNEL, LIFTS = "topic", "channel", "lifts"
# Times are microseconds since 1970, UTC; "" where an event has no item, channel or family.
EVENTS = pa.schema(
    [
        (USER_ID, pa.int64()),
        (EVENT_TIME, pa.int64()),
        *((name, pa.string()) for name in (TOPIC, EVENT_TYPE, EVENT_ID, ITEM_ID, CHANNEL, FAMILY)),
    ]
)
_NEEDED = {(kind.topic, kind.event_type): longest_window(kind.topic, kind.event_type) for kind in KINDS}
_OF_LISTS = {(kind.topic, kind.event_type) for kind in KINDS if kind.of_list}
# Stands before a rec_id where an event is about a whole answer, whose items are in the log of exposures.
_ANSWER = "answer:"
_MICROSECOND = timedelta(microseconds=1)
# The last second of ClickHouse's DateTime, in 2106.
FOR_GOOD = 2**32 - 1
MAX_CUT_OFF = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row of EVENTS, and what storage goes by.

    `last_cut_off`: the latest cut-off of a snapshot whose answers it may change, in microseconds; MAX_CUT_OFF for what
    does not ask for the cut-off. `expires_at` in seconds, FOR_GOOD for what never does.
    """

    user_id: int
    event_time: int
    topic: str
    event_type: str
    event_id: str
    item_id: str
    channel: str
    family: str
    last_cut_off: int
    expires_at: int


def row_of(topic: str, event: Mapping[str, Any], *, arrived: int, skew: int) -> EventRow | None:
    """None for an event that no rule needs, or no longer needs on its arrival. Times in microseconds.

    An event more than `skew` ahead of its arrival counts from its arrival: a producer's wrong clock must neither keep
    a boost alive for years nor lose an opt-out.
    """
    is_erasure = _is_erasure(topic, event)
    event_type = SuppressionEvent.ERASURE.value if is_erasure else event[EVENT_TYPE]
    if (topic, event_type) not in _NEEDED:
        return None
    schema = newest(topic)
    happened = event[schema.event_time]
    happened = max(happened if happened <= arrived + skew else arrived, 0)
    query = event.get("query")
    family = (family_of_search(query) or "") if query else event.get(FAMILY) or ""
    if query and not family:
        return None
    expires = FOR_GOOD if is_erasure else _expires(event, _NEEDED[topic, event_type], happened)
    if expires * MICROS <= arrived:
        return None
    return EventRow(
        user_id=event[USER_ID],
        event_time=happened,
        topic=topic,
        event_type=event_type,
        event_id=event[schema.idempotency_key],
        item_id=event.get(LIFTS) or event.get(PRODUCT_ID) or event.get(ITEM_ID) or _answer_of(topic, event),
        channel=event.get(CHANNEL) or "",
        family=family,
        last_cut_off=happened if event_type in FLEETING else MAX_CUT_OFF,
        expires_at=expires,
    )


def _is_erasure(topic: str, event: Mapping[str, Any]) -> bool:
    """Also where its producer does not know that an erasure has an event of its own."""
    is_lift = event[EVENT_TYPE] == SuppressionEvent.LIFTED
    return topic == SUPPRESSIONS and not is_lift and event.get("kind") == SuppressionKind.ERASURE_REQUEST


def _expires(event: Mapping[str, Any], window: timedelta | None, happened: int) -> int:
    """Seconds, never before its end: up to the second in which that moment lies."""
    until: int | None = event.get("until")
    if until is not None:
        return min(-(-until // MICROS), FOR_GOOD)
    return FOR_GOOD if window is None else -(-(happened + window // _MICROSECOND) // MICROS)


def _answer_of(topic: str, event: Mapping[str, Any]) -> str:
    rec_id = event.get("rec_id")
    return f"{_ANSWER}{rec_id}" if rec_id and (topic, event[EVENT_TYPE]) in _OF_LISTS else ""


def answers_in(item_ids: Iterable[str]) -> list[str]:
    """The rec_ids of whole answers that events are about; for most users none."""
    return sorted({item_id.removeprefix(_ANSWER) for item_id in item_ids if item_id.startswith(_ANSWER)})


def spread(events: pa.Table, shown: Mapping[str, Sequence[str]]) -> pa.Table:
    """EVENTS, with those about whole answers once more for each item that was `shown`, by rec_id.

    An answer that was not logged stays as it is, and suppresses nothing.
    """
    more = [
        {**event, EVENT_ID: f"{event[EVENT_ID]}/{item_id}", ITEM_ID: item_id}
        for event in events.to_pylist()
        if event[ITEM_ID].startswith(_ANSWER)
        for item_id in shown.get(event[ITEM_ID].removeprefix(_ANSWER), ())
    ]
    return pa.concat_tables([events, pa.Table.from_pylist(more, schema=EVENTS)])


def micros(moment: datetime) -> int:
    """Of an aware moment."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
