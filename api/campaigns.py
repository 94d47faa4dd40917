"""Campaigns as people are shown them: what they say, whom they reach, whom they want from each other, and what is
proposed of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from api.lake import document, names_in
from api.operator_models import CampaignInfo, ProposalInfo, Reach
from api.told_proposals import changes, taken, told
from data_contracts.campaigns import Campaign, campaign_of, campaigns_in
from data_contracts.errors import InputError
from data_contracts.vocabulary import Channel
from data_contracts.yaml_files import as_document
from sql.proposals import Proposal, State, in_force

# Days of assignments that are looked at.
_MOST_DAYS = 14


class _Counts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    audience: int
    wanted_elsewhere: int
    held_out: int
    contacts: int
    budget_left: int
    value: float


class _Assignment(BaseModel):
    """What is read of an assignment's manifest (spark_jobs/campaigns/records.py)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    day: date
    snapshot_id: str
    campaigns: dict[str, _Counts]


@dataclass(frozen=True)
class Board:
    """Campaigns that hold, by name, what was proposed, oldest first, and whom each reached when last assigned."""

    every: Sequence[Campaign]
    proposals: Sequence[Proposal]
    reached: Mapping[str, Reach]
    today: date

    @classmethod
    def read(cls, folder: Path | None, lake: str, proposals: Sequence[Proposal], *, today: date) -> Self:
        """Raises InputError naming file and line of a campaign that is wrong."""
        approved = {name: one.document for name, one in in_force(proposals).items()}
        return cls(campaigns_in(folder, approved=approved), proposals, _reached(lake), today)

    def campaigns(self, channel: Channel | None) -> list[CampaignInfo]:
        """By name; of one channel, or all."""
        made = in_force(self.proposals)
        return [self._info(one, self.every, made.get(one.name)) for one in self.every if channel in (None, one.channel)]

    def proposed(self, channel: Channel | None, *, most: int) -> list[ProposalInfo]:
        """Newest first; of one channel, or all."""
        found = [(one, _campaign_in(one)) for one in reversed(self.proposals)]
        mine = [pair for pair in found if channel is None or (pair[1] is not None and pair[1].channel == channel)]
        return [self.told(one, campaign) for one, campaign in mine[:most]]

    def told(self, one: Proposal, campaign: Campaign | None) -> ProposalInfo:
        if campaign is None or one.state is not State.WAITING:
            return told(one, changes=[])
        before = next((other for other in self.every if other.name == one.name), None)
        others = [other for other in self.every if other.name != one.name]
        info = self._info(campaign, [*others, campaign], None)
        return told(one, changes=changes(before, campaign), campaign=info)

    def _info(self, one: Campaign, every: Sequence[Campaign], made: Proposal | None) -> CampaignInfo:
        return CampaignInfo(
            name=one.name,
            state=_state(one, self.today),
            product=one.product,
            families=sorted(one.families or ()),
            channel=one.channel,
            start=one.start,
            end=one.end,
            budget=one.budget,
            priority=one.priority,
            control_share=one.control_share,
            message_en=one.message.en,
            message_ru=one.message.ru,
            owner=one.owner,
            exclusive_with=sorted(one.exclusive_with),
            rivals=[other.name for other in every if _are_rivals(one, other)],
            reach=self.reached.get(one.name),
            document=as_document(one),
            proposed=taken(made.asked) if made else None,
            approved=taken(made.decided) if made and made.decided else None,
        )


def _campaign_in(one: Proposal) -> Campaign | None:
    """None for one of an earlier version, which is no campaign any more."""
    try:
        return campaign_of(one.document, one.name)
    except InputError:
        return None


def _reached(lake: str) -> Mapping[str, Reach]:
    """The newest assignment of each campaign."""
    found: dict[str, Reach] = {}
    for one in _assignments(lake):
        for name, counts in one.campaigns.items():
            found.setdefault(name, Reach(day=one.day, snapshot_id=one.snapshot_id, **counts.model_dump()))
    return found


def _assignments(lake: str) -> Iterator[_Assignment]:
    """Newest first; half a one, or a broken one, is none."""
    root = f"{lake}/campaigns"
    for day in sorted(names_in(root), reverse=True)[:_MOST_DAYS]:
        for snapshot in sorted(names_in(f"{root}/{day}"), reverse=True):
            text = document(f"{root}/{day}/{snapshot}/manifest.json")
            try:
                if text is not None:
                    yield _Assignment.model_validate_json(text)
            except ValidationError:
                continue


def _are_rivals(one: Campaign, other: Campaign) -> bool:
    shares_days = one.start < other.end and other.start < one.end
    return one.name != other.name and one.channel == other.channel and shares_days and one.enabled and other.enabled


def _state(one: Campaign, today: date) -> str:
    if not one.enabled:
        return "off"
    return "runs" if one.runs_on(today) else "over" if today >= one.end else "to_come"
