"""Changes that two people make: one asks and says why, another agrees, and only then it is made. All steps are kept.

What only makes things safer (a stop) needs nobody else; what undoes it does. Overrides of the gate, which speak of a
snapshot's content, have steps of their own (`overrides`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from data_contracts.errors import InputError
from sql.client import Store

# As long as an override of the gate may wait.
_HOURS = 24


class Action(StrEnum):
    UNBLOCK = "unblock"


class Step(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"


@dataclass(frozen=True)
class Request:
    """Somebody's, that nobody else has agreed to yet."""

    subject: str
    at: datetime
    actor: str
    reason: str


def ask_or_agree(
    store: Store, action: Action, subject: str, *, actor: str, reason: str, make: Callable[[str], None]
) -> Request | None:
    """Agree to what somebody else asked for, which `make` then does, told why and by whom; else ask for it.

    Returns the request that waits for somebody else, None where the change was made. Raises InputError without a
    reason, and whatever `make` raises: then the request goes on waiting.
    """
    waiting = [one for one in requests(store, action) if one.subject == subject]
    others = [one for one in waiting if one.actor != actor]
    if others:
        asked = others[-1]
        make(f"{asked.reason} (asked by {asked.actor}, approved by {actor})")
        _put(store, action, subject, Step.APPROVED, actor=actor, reason=reason or asked.reason)
        return None
    if not waiting:
        if not reason.strip():
            raise InputError("why: what somebody else must agree to needs a reason")
        _put(store, action, subject, Step.ASKED, actor=actor, reason=reason)
    return next(one for one in requests(store, action) if one.subject == subject)


def requests(store: Store, action: Action) -> tuple[Request, ...]:
    """What waits for somebody else, oldest first; a request that waited longer than a day has to be made again."""
    return tuple(_waiting(store, action))


def _waiting(store: Store, action: Action) -> Iterator[Request]:
    open_: dict[str, list[Request]] = {}
    for subject, at, step, actor, reason in store.rows("approvals_v1/steps", action=action.value, hours=_HOURS):
        if step == Step.APPROVED:
            open_.pop(subject, None)
        else:
            open_.setdefault(subject, []).append(Request(subject, at, actor, reason))
    yield from sorted((one for many in open_.values() for one in many), key=lambda one: one.at)


def _put(store: Store, action: Action, subject: str, step: Step, *, actor: str, reason: str) -> None:
    store.run("approvals_v1/put", action=action.value, subject=subject, step=step.value, actor=actor, reason=reason)
