"""Campaigns proposed and approved, a document being read as files are, and what holds when they are assigned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa

from data_contracts.campaigns import Campaign, Known, campaign_of, campaigns_in, check_campaign
from data_contracts.overlay.rows import micros
from sql import proposals
from sql.client import Store
from sql.control_groups import before_day
from sql.proposals import Asked, Decision, Draft, Kind, Proposal, Step
from sql.ranges import everybodys_events
from sql.rules import RuleSet, blocks, current_rule_set


@dataclass(frozen=True)
class Ground:
    """What a campaign stands on: the folder of files, and what is known of products and segments.

    `refuse` is told a campaign first, and raises where the caller must not speak for it.
    """

    folder: Path | None
    known: Known | None = None
    refuse: Callable[[Campaign], None] = lambda _: None


@dataclass(frozen=True)
class Standing:
    """What an assignment goes by that is known here alone. `rules`: with their catalogue, None before the first."""

    rules: RuleSet | None
    stops: tuple[str, ...]
    events: pa.Table
    campaigns: Mapping[str, str]


def standing(store: Store, *, day: date, cut_off: datetime, now: datetime) -> Standing:
    """Served rules, stopped items, everybody's EVENTS after the snapshot's `cut_off`, and approved campaigns.

    Without what campaigns of the `day` that is assigned, or of later ones, hold out.
    """
    return Standing(
        rules=current_rule_set(store),
        stops=tuple(stop.item_id for stop in blocks(store)),
        events=before_day(everybodys_events(store, cut_off=micros(cut_off)), day),
        campaigns=proposals.approved(store, Kind.CAMPAIGN, now=now),
    )


def propose_campaign(store: Store, asked: Asked, ground: Ground) -> Proposal:
    """What turns a campaign off, and changes nothing else of it, holds at once: that only makes things safer.

    Raises InputError, with the line, for a document that is no campaign, or contradicts the catalogue or other
    campaigns, and without a reason.
    """
    held = proposals.approved(store, Kind.CAMPAIGN, now=asked.now)
    one = check_campaign(ground.folder, asked.text, known=ground.known, approved=held)
    ground.refuse(one)
    before = {campaign.name: campaign for campaign in campaigns_in(ground.folder, approved=held)}.get(one.name)
    if before is not None:
        ground.refuse(before)
    only_stops = before is not None and not one.enabled and before.model_copy(update={"enabled": False}) == one
    draft = Draft(Kind.CAMPAIGN, one.name, asked.text, asked.actor, asked.why)
    return proposals.propose(store, draft, now=asked.now, needs_another=not only_stops)


def decide_campaign(store: Store, decision: Decision, ground: Ground) -> Proposal:
    """Approve or refuse; see `proposals.decide`. What is approved is read anew: other campaigns may have come since."""

    def check(one: Proposal) -> None:
        ground.refuse(campaign_of(one.document, one.name))
        if decision.step is Step.APPROVED:
            held = proposals.approved(store, Kind.CAMPAIGN, now=decision.now)
            check_campaign(ground.folder, one.document, known=ground.known, approved=held, label=one.name)

    return proposals.decide(store, Kind.CAMPAIGN, decision, check=check)
