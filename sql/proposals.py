"""Documents that two people bring into force: one proposes and says why, another approves. All steps are kept.

Of a kind and name the last approved holds. A proposal waits for `VALID`, and only as long as nothing newer of its name
was proposed. Anybody may refuse it, who proposed it too.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from data_contracts.errors import InputError
from sql.client import Store

VALID = timedelta(days=14)


class Kind(StrEnum):
    CAMPAIGN = "campaign"
    RULES = "rules"


class Step(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"
    REFUSED = "refused"


class State(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    REPLACED = "replaced"  # something newer of its name was proposed
    EXPIRED = "expired"


class NoSuchProposalError(InputError):
    """There is none of this kind with this id."""


class NotWaitingError(InputError):
    """It was decided already, or too long has passed, or its own author approves it."""


@dataclass(frozen=True)
class Taken:
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class Proposal:
    """`decided`: by whom it was approved or refused."""

    proposal_id: str
    name: str
    document: str
    asked: Taken
    state: State = State.WAITING
    decided: Taken | None = None


def proposals(store: Store, kind: Kind, *, now: datetime) -> tuple[Proposal, ...]:
    """Oldest first."""
    return folded((_Row(*row) for row in store.rows("proposals_v1/steps", kind=kind.value)), now=now)


def in_force(found: Iterable[Proposal]) -> Mapping[str, Proposal]:
    """By name, the last that was approved. `found` oldest first."""
    return {one.name: one for one in found if one.state is State.APPROVED}


def approved(store: Store, kind: Kind, *, now: datetime) -> Mapping[str, str]:
    """The documents in force, by name."""
    return {name: one.document for name, one in in_force(proposals(store, kind, now=now)).items()}


@dataclass(frozen=True)
class Draft:
    """What is proposed. Raises InputError without a reason."""

    kind: Kind
    name: str
    document: str
    actor: str
    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InputError("why: what somebody else must agree to needs a reason")


@dataclass(frozen=True)
class Asked:
    """A document, as YAML or JSON, and who asks for it why."""

    text: str
    actor: str
    why: str
    now: datetime


@dataclass(frozen=True)
class Decision:
    proposal_id: str
    step: Step
    actor: str
    why: str
    now: datetime


def propose(store: Store, draft: Draft, *, now: datetime, needs_another: bool = True) -> Proposal:
    """Ask for it; the same again is the request that waits already. Without `needs_another` it holds at once."""
    for one in proposals(store, draft.kind, now=now):
        same = (one.name, one.document, one.asked.actor) == (draft.name, draft.document, draft.actor)
        if same and one.state is State.WAITING:
            return one
    proposal_id = uuid.uuid4().hex
    _put(store, draft, proposal_id, Step.ASKED)
    if not needs_another:
        _put(store, draft, proposal_id, Step.APPROVED)
    return _named(store, draft.kind, proposal_id, now=now)


def decide(
    store: Store,
    kind: Kind,
    decision: Decision,
    *,
    check: Callable[[Proposal], None] = lambda _: None,
    make: Callable[[Proposal], None] = lambda _: None,
) -> Proposal:
    """Approve or refuse what waits. `check` is told it first, and raises where that cannot be; `make` does, before the
    step is kept, what approving it means.

    Raises NoSuchProposalError, NotWaitingError, InputError for a refusal without a reason, and what those two raise.
    """
    one = _named(store, kind, decision.proposal_id, now=decision.now)
    if one.state is not State.WAITING:
        raise NotWaitingError(f"it does not wait any more: it is {one.state.value}")
    check(one)
    reason = decision.why
    if decision.step is Step.APPROVED:
        if one.asked.actor == decision.actor:
            raise NotWaitingError(f"{decision.actor} proposed it: somebody else has to approve it")
        reason = reason or one.asked.reason
        make(one)
    _put(store, Draft(kind, one.name, "", decision.actor, reason), one.proposal_id, decision.step)
    return _named(store, kind, one.proposal_id, now=decision.now)


@dataclass(frozen=True)
class _Row:
    """Of `proposals_v1/steps`."""

    at: datetime
    proposal_id: str
    name: str
    step: str
    actor: str
    reason: str
    document: str


def folded(steps: Iterable[_Row], *, now: datetime) -> tuple[Proposal, ...]:
    """What became of each proposal; `steps` oldest first. Of two decisions the first counts. Pure."""
    found: dict[str, Proposal] = {}
    for row in steps:
        taken, one = Taken(row.at, row.actor, row.reason), found.get(row.proposal_id)
        if row.step == Step.ASKED:
            found |= {key: _replaced(other, row.name) for key, other in found.items()}
            found[row.proposal_id] = Proposal(row.proposal_id, row.name, row.document, taken)
        elif one is not None and one.state is State.WAITING and row.at - one.asked.at <= VALID:
            found[row.proposal_id] = replace(one, state=State(row.step), decided=taken)
    return tuple(_aged(one, now) for one in found.values())


def _replaced(one: Proposal, name: str) -> Proposal:
    return replace(one, state=State.REPLACED) if one.state is State.WAITING and one.name == name else one


def _aged(one: Proposal, now: datetime) -> Proposal:
    is_late = one.state is State.WAITING and now - one.asked.at > VALID
    return replace(one, state=State.EXPIRED) if is_late else one


def _named(store: Store, kind: Kind, proposal_id: str, *, now: datetime) -> Proposal:
    for one in proposals(store, kind, now=now):
        if one.proposal_id == proposal_id:
            return one
    raise NoSuchProposalError(f"there is no proposal {proposal_id} of a {kind.value}")


def _put(store: Store, draft: Draft, proposal_id: str, step: Step) -> None:
    store.run(
        "proposals_v1/put",
        kind=draft.kind.value,
        proposal_id=proposal_id,
        name=draft.name,
        step=step.value,
        actor=draft.actor,
        reason=draft.reason,
        document=draft.document if step is Step.ASKED else "",
    )
