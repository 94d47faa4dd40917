"""Suppressions taken back: who did, when and why, then the events that undo theirs. What was suppressed is kept too.

A lift is about one accepted suppression, of all of its users or some; what else keeps a user back does so as before.
Nothing lifts an erasure. What failed half-way may be sent again, and so may what was done.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from data_contracts.errors import InputError
from data_contracts.overlay import EventRow, row_of
from data_contracts.overlay.kinds import SUPPRESSIONS
from data_contracts.overlay.rows import micros
from data_contracts.suppressions import Suppression, Terms, lifts_of
from data_contracts.vocabulary import SuppressionKind
from sql.client import Store
from sql.day_logs import LIFTED, put_log
from sql.suppressions import Order, OtherKeyError, Placed, digest, in_parts
from sql.user_events import put_events


class NoSuchSuppressionError(InputError):
    """Nothing was accepted under this id."""


class NotSuppressedError(InputError):
    """Some of the users are not among those of the suppression."""


class ErasedError(InputError):
    """An erasure was asked for, which nothing lifts."""


@dataclass(frozen=True)
class Wish:
    """Which suppression, of which users (none: of all of it), why, and who asks. Raises InputError without a reason."""

    suppression_id: str
    reason: str
    order: Order
    user_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InputError("reason: what takes a suppression back needs one")


@dataclass(frozen=True)
class Lift:
    """In suppressions of one user each (rows of a file, users of an order): taken back now, and before."""

    lift_id: str
    lifted: int
    before: int


@dataclass(frozen=True)
class PastLift:
    lift_id: str
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class PastSuppression:
    """`product_id` and `family` are "" for everything; `lift` is its first."""

    suppression_id: str
    accepted_at: datetime
    kind: str
    channel: str
    product_id: str
    family: str
    until: datetime | None
    reason: str
    actor: str
    lift: PastLift | None

    def is_in_force(self, now: datetime) -> bool:
        return self.lift is None and (self.until is None or self.until > now)


def lift(store: Store, wish: Wish, *, refuse: Callable[[str], None] = lambda _channel: None) -> Lift:
    """Take a suppression back, of these users or of all of it; again it only makes whole what is not.

    `refuse` is told each channel ("all" for every one) that would be opened, and raises where the caller must not.
    Raises NoSuchSuppressionError, NotSuppressedError, ErasedError, and OtherKeyError where the order's key was used for
    another lift.
    """
    lift_id = _id(store, wish)
    wanted = _wanted(store, wish)
    for channel in sorted({str(one.terms.channel) for _, one in wanted}):
        refuse(channel)
    rows = store.rows("suppression_lifts_v1/of_id", suppression_id=wish.suppression_id)
    done: dict[int, str] = {place: str(first) for place, first in rows}
    before = sum(done.get(place, lift_id) != lift_id for place, _ in wanted)
    # First: nothing is shown again of which it is not known who wished it.
    for part in in_parts([one for one in wanted if one[0] not in done]):
        put_log(store, LIFTED, [_logged(one, lift_id, wish) for one in part])
    for part in in_parts(wanted):
        put_events(store, _rows(part, wish))
    return Lift(lift_id, lifted=len(wanted) - before, before=before)


def suppressions_of(store: Store, user_id: int) -> tuple[PastSuppression, ...]:
    """All that were ever accepted of a user who was not erased, oldest first."""
    return tuple(
        PastSuppression(
            accepted_at=at,
            suppression_id=suppression_id,
            kind=kind,
            channel=channel,
            product_id=product_id,
            family=family,
            until=until,
            reason=reason,
            actor=actor,
            lift=PastLift(*lifted) if lifted[0] else None,
        )
        for at, suppression_id, kind, channel, product_id, family, until, reason, actor, *lifted in store.rows(
            "suppressions_v1/of_user", user_id=user_id
        )
    )


def _id(store: Store, wish: Wish) -> str:
    """32 hex digits."""
    if not wish.order.kept_key:
        return uuid.uuid4().hex
    lift_id = digest([wish.order.kept_key, wish.suppression_id, sorted(set(wish.user_ids)), wish.reason])
    since = micros(wish.order.at - wish.order.known_for)
    known = store.rows("suppression_lifts_v1/of_key", idempotency_key=wish.order.kept_key, since=since)
    if known and known[0][0] != lift_id:
        raise OtherKeyError("Idempotency-Key: was used for another lift")
    return lift_id


def _wanted(store: Store, wish: Wish) -> list[Placed]:
    accepted = store.rows("suppressions_v1/of_id", suppression_id=wish.suppression_id)
    if not accepted:
        raise NoSuchSuppressionError(f"suppression_id: nothing was accepted under {wish.suppression_id}")
    asked = set(wish.user_ids)
    found = [row for row in accepted if not asked or row[1] in asked]
    if missing := asked - {row[1] for row in found}:
        raise NotSuppressedError(f"user_ids: {len(missing)} of them are not in this suppression")
    if erased := sum(row[2] == SuppressionKind.ERASURE_REQUEST for row in found):
        raise ErasedError(f"an erasure cannot be lifted: {erased} of {len(found)} here are; name the others' users")
    return [_placed(row) for row in found]


def _placed(row: Sequence[object]) -> Placed:
    place, user_id, kind, channel, product_id, family = row
    terms = Terms.model_validate(
        {"kind": kind, "channel": channel, "product_id": product_id or None, "family": family or None}
    )
    return int(str(place)), Suppression(int(str(user_id)), terms)


def _rows(part: Sequence[Placed], wish: Wish) -> Iterator[EventRow]:
    at = wish.order.at
    for place, one in part:
        for event in lifts_of(one, name=f"{wish.suppression_id}/{place}", at=at):
            row = row_of(SUPPRESSIONS, event, arrived=micros(at), skew=0)
            if row is not None:
                yield row


def _logged(placed: Placed, lift_id: str, wish: Wish) -> dict[str, object]:
    place, one = placed
    return {
        "lifted_at": wish.order.at,
        "suppression_id": wish.suppression_id,
        "place": place,
        "user_id": one.user_id,
        "lift_id": lift_id,
        "reason": wish.reason,
        "actor": wish.order.actor,
        "idempotency_key": wish.order.kept_key,
    }
