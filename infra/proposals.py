"""Campaigns that two people bring into force, for `recs campaigns`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from data_contracts.campaigns import Known
from data_contracts.settings import Settings
from infra.options import actor
from infra.publishing import opened
from sql import proposals
from sql.campaigns import Ground, decide_campaign, propose_campaign
from sql.proposals import Asked, Decision, Kind, Proposal, Step, Taken


def approved(settings: Settings) -> Mapping[str, str]:
    """Documents by campaign."""
    with opened(settings) as store:
        return proposals.approved(store, Kind.CAMPAIGN, now=datetime.now(UTC))


def proposal_rows(settings: Settings) -> list[dict[str, Any]]:
    """Newest first."""
    with opened(settings) as store:
        found = proposals.proposals(store, Kind.CAMPAIGN, now=datetime.now(UTC))
    return [_row(one) for one in reversed(found)]


def propose(settings: Settings, text: str, *, why: str, known: Known | None) -> str:
    """What to tell of it. Raises InputError with the line of what is wrong."""
    with opened(settings) as store:
        asked = Asked(text, actor=actor(), why=why, now=datetime.now(UTC))
        told = propose_campaign(store, asked, Ground(settings.campaigns, known))
    return f"{told.name}: {told.state.value}, {told.proposal_id}"


def approve(settings: Settings, proposal_id: str, *, known: Known | None) -> str:
    """Raises InputError where it does not wait, or who runs this proposed it."""
    return _decided(settings, proposal_id, Step.APPROVED, why="", known=known)


def refuse(settings: Settings, proposal_id: str, *, why: str) -> str:
    return _decided(settings, proposal_id, Step.REFUSED, why=why, known=None)


def _decided(settings: Settings, proposal_id: str, step: Step, *, why: str, known: Known | None) -> str:
    with opened(settings) as store:
        decision = Decision(proposal_id, step, actor=actor(), why=why, now=datetime.now(UTC))
        told = decide_campaign(store, decision, Ground(settings.campaigns, known))
    return f"{told.name}: {told.state.value}"


def _row(one: Proposal) -> dict[str, Any]:
    return {
        "id": one.proposal_id,
        "campaign": one.name,
        "state": one.state.value,
        "proposed": _told(one.asked),
        "decided": _told(one.decided) if one.decided else "",
    }


def _told(step: Taken) -> str:
    return f"{step.at:%Y-%m-%d %H:%M} by {step.actor}: {step.reason}"
