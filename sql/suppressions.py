"""Suppressions in ClickHouse: the events that the overlay reads, then who asked for them, when and why.

What is accepted holds from the next look-up on; what failed half-way was not accepted, and may be sent again. Each
acceptance has an id of its own: what comes under a key that is no longer known, or after it was lifted, is a new one.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from data_contracts.errors import InputError
from data_contracts.overlay import EventRow, row_of
from data_contracts.overlay.kinds import SUPPRESSIONS
from data_contracts.overlay.rows import micros
from data_contracts.suppressions import RefusedRow, Suppression, SuppressionFile, events_of, read_csv
from data_contracts.vocabulary import SuppressionEvent
from sql.client import Store
from sql.day_logs import SUPPRESSED, put_log
from sql.rules import is_known
from sql.user_events import put_events

_AT_ONCE = 20_000
# A suppression with its place in what was accepted under one id.
Placed = tuple[int, Suppression]


@dataclass(frozen=True)
class Order:
    """Who asks, when, and under which key of theirs ("" for none), which is known for so long."""

    actor: str
    at: datetime
    key: str = ""
    known_for: timedelta = timedelta(hours=24)

    @property
    def kept_key(self) -> str:
        """Of this caller alone; "" without a key."""
        return digest([self.actor, self.key]) if self.key else ""


class OtherKeyError(InputError):
    """The key was used for other suppressions."""


def suppress(store: Store, suppressions: Sequence[Suppression], order: Order) -> str:
    """The id of what was accepted, now or before under the same key. Raises OtherKeyError."""
    suppression_id, is_known = _id_under(store, order.kept_key, suppressions, order)
    if is_known:
        return suppression_id
    parts = in_parts(list(enumerate(suppressions)))
    for part in parts:
        put_events(store, _rows(part, suppression_id, order.at))
    # Last: what is found under its key holds as a whole.
    for part in parts:
        put_log(store, SUPPRESSED, [_logged(one, place, suppression_id, order) for place, one in part])
    return suppression_id


def in_parts(placed: Sequence[Placed]) -> list[Sequence[Placed]]:
    """As many at once as an insert takes."""
    return [placed[start : start + _AT_ONCE] for start in range(0, len(placed), _AT_ONCE)]


def suppress_file(store: Store, lines: Iterable[str], order: Order) -> tuple[str, SuppressionFile]:
    """The good rows of a CSV file; the bad ones are told. Raises InputError for a file without a usable header."""
    file = read_csv(lines, now=order.at)
    named = {one.terms.product_id for _, one in file.taken if one.terms.product_id}
    unknown = {item for item in named if not is_known(store, item)}
    refused = [
        RefusedRow(line, "product_id: nobody knows it") for line, one in file.taken if one.terms.product_id in unknown
    ]
    file = file.refusing(refused)
    taken = [one for _, one in file.taken]
    return (suppress(store, taken, order) if taken else ""), file


def _rows(part: Iterable[Placed], suppression_id: str, at: datetime) -> Iterator[EventRow]:
    for place, one in part:
        for event in events_of(one, name=f"{suppression_id}/{place}", at=at):
            row = row_of(SUPPRESSIONS, event, arrived=micros(at), skew=0)
            if row is None:  # it would already be over
                continue
            yield row
            if row.event_type == SuppressionEvent.ERASURE:
                # For services of the version before, which do not know an erasure's event.
                plain = SuppressionEvent.CHANNEL.value
                yield replace(row, event_type=plain, event_id=f"{row.event_id}/{plain}")


def _id_under(store: Store, key: str, suppressions: Sequence[Suppression], order: Order) -> tuple[str, bool]:
    """The id of these, and whether they were accepted under it. The same for what was sent again half-way."""
    suppression_id = _id(suppressions, key)
    found = store.rows("suppressions_v1/of_key", idempotency_key=key) if key else ()
    if not found:
        return suppression_id, False
    ((newest, at, accepted),) = found
    if at >= micros(order.at - order.known_for):
        if newest.partition(".")[0] != suppression_id:
            raise OtherKeyError("Idempotency-Key: was used for other suppressions")
        if not store.rows("suppression_lifts_v1/of_id", suppression_id=newest):
            return str(newest), True
    return f"{suppression_id}.{accepted}", False


def _id(suppressions: Sequence[Suppression], key: str) -> str:
    """32 hex digits. Without a key each is a new one: it may follow an opt-in."""
    if not key:
        return uuid.uuid4().hex
    return digest([key, *([one.user_id, one.terms.model_dump(mode="json")] for one in suppressions)])


def digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _logged(one: Suppression, place: int, suppression_id: str, order: Order) -> dict[str, object]:
    terms = one.terms
    return {
        "accepted_at": order.at,
        "suppression_id": suppression_id,
        "place": place,
        "user_id": one.user_id,
        "kind": terms.kind.value,
        "channel": str(terms.channel),
        "product_id": terms.product_id or "",
        "family": terms.family.value if terms.family else "",
        "until": terms.until,
        "reason": terms.reason,
        "actor": order.actor,
        "idempotency_key": order.kept_key,
    }
