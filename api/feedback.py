"""What users did about answers: checked without a look-up, then kept on disk before the caller hears that it is.

The same feedback gets the same id, so that it counts once however often it comes: the id is made of all fields and of
the caller's idempotency key. As long as a key is known, it is refused with other fields than it first came with.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from api.batches import Batches
from api.models import Feedback, FeedbackType
from api.outbox import Entry, Key, Outbox, Put
from api.refusals import BusyLaterError, ElsewhereError, InvalidError
from api.security import Principal
from api.threads import at_once
from api.traces import traceparent
from data_contracts.errors import InputError, UnavailableError
from data_contracts.rec_id import RecId, verified
from data_contracts.vocabulary import FeedbackEvent

RETRY_AFTER_SECONDS = 5
# Those who arrive while one write is under way share the next: one flush of the disk for all of them.
_LARGEST_WRITE = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_EVENTS = {
    FeedbackType.CLICK: FeedbackEvent.CLICKED,
    FeedbackType.DISMISS: FeedbackEvent.DISMISSED,
    FeedbackType.PURCHASE: FeedbackEvent.PURCHASED,
}


@dataclass(frozen=True)
class Accepted:
    """`is_expired`: the answer is older than answers are good for; the feedback is kept all the same."""

    event_id: str
    is_expired: bool


class FeedbackDesk:
    """`key` signs rec_ids; `good_for` is how long an answer is; `skew` how far ahead an app's clock may be; not
    `is_open`: it takes nothing.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        wake: Callable[[], None],
        key: bytes,
        clock: Callable[[], datetime],
        good_for: timedelta,
        skew: timedelta,
        is_open: bool = True,
    ) -> None:
        self._outbox = outbox
        self._wake = wake
        self._key = key
        self._clock = clock
        self._good_for = good_for
        self._skew = skew
        self._is_open = is_open
        self._writes = Batches(self._write, largest=_LARGEST_WRITE, in_flight=1)

    async def accept(self, given: Feedback, *, caller: Principal, idempotency_key: str = "") -> Accepted:
        """Raises InvalidError for what is forged, not of this user or under a key of other feedback, Refused for an
        answer of another channel than the caller's, BusyLaterError when there is no room, ElsewhereError where none
        is taken.
        """
        if not self._is_open:
            raise ElsewhereError(
                "feedback is not taken here, where no disk would keep it: send it to the service that is for it"
            )
        now = self._clock()
        about = self._checked(given, now)
        caller.refuse_other_channel(about.channel)
        is_expired = now - about.time > self._good_for
        event_id = event_id_of(given, idempotency_key)
        event = event_of(given, about, event_id=event_id, is_expired=is_expired)
        try:
            put = await self._writes.ask(Entry(event_id, event, _key_of(given, idempotency_key), traceparent()))
        except UnavailableError as error:
            raise _no_room("the feedback cannot be kept now") from error
        if put is Put.NO_ROOM:
            raise _no_room("the outbox is full")
        if put is Put.OTHER_KEY:
            raise InvalidError("Idempotency-Key: was used for other feedback of this user", field="Idempotency-Key")
        return Accepted(event_id, is_expired)

    def _checked(self, given: Feedback, now: datetime) -> RecId:
        if not _EARLIEST <= given.timestamp <= now + self._skew:
            raise InvalidError("timestamp: lies in the future, or before the year 2000", field="timestamp")
        try:
            return verified(given.rec_id, user_id=given.user_id, key=self._key)
        except InputError as error:
            raise InvalidError(str(error), field="rec_id") from error

    async def _write(self, entries: Sequence[Entry]) -> Sequence[Put]:
        # In a thread, for SQLite waits for the disk.
        kept = await at_once(self._outbox.put, entries)
        self._wake()
        return kept


def event_id_of(given: Feedback, idempotency_key: str) -> str:
    """32 hex digits."""
    return _hash([given.model_dump(mode="json"), idempotency_key])


def _key_of(given: Feedback, idempotency_key: str) -> Key | None:
    """A caller's key is the user's own: somebody else's same key is another one."""
    return Key(_hash([given.user_id, idempotency_key]), given.user_id) if idempotency_key else None


def _hash(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def event_of(given: Feedback, about: RecId, *, event_id: str, is_expired: bool) -> bytes:
    """JSON of the fields of recommendation.feedback."""
    product_id, position = given.context.get("product_id"), given.context.get("position")
    return orjson.dumps(
        {
            "event_id": event_id,
            "event_time": (given.timestamp - _EPOCH) // timedelta(microseconds=1),
            "user_id": given.user_id,
            "event_type": _EVENTS[given.event_type],
            "channel": about.channel,
            "rec_id": given.rec_id,
            "item_id": product_id,
            "position": position,
            "is_expired": is_expired,
            "context": orjson.dumps(given.context, option=orjson.OPT_SORT_KEYS).decode() if given.context else None,
        }
    )


def _no_room(detail: str) -> BusyLaterError:
    return BusyLaterError(f"{detail}: come again", retry_after_seconds=RETRY_AFTER_SECONDS)
