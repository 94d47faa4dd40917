"""Campaigns as people are shown them: what their files say, whom they reach, and whom they want from each other."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from api.lake import document, names_in
from api.operator_models import CampaignInfo, Reach
from data_contracts.campaigns import Campaign, campaigns_in
from data_contracts.vocabulary import Channel

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


def campaigns_of(folder: Path | None, lake: str, *, today: date, channel: Channel | None) -> list[CampaignInfo]:
    """By name; of one channel, or all. Raises InputError naming file and line of a campaign that is wrong."""
    every = campaigns_in(folder)
    reached = _reached(lake)
    return [_info(one, every, reached.get(one.name), today=today) for one in every if channel in (None, one.channel)]


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


def _info(one: Campaign, every: Sequence[Campaign], reach: Reach | None, *, today: date) -> CampaignInfo:
    return CampaignInfo(
        name=one.name,
        state=_state(one, today),
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
        reach=reach,
    )


def _are_rivals(one: Campaign, other: Campaign) -> bool:
    shares_days = one.start < other.end and other.start < one.end
    return one.name != other.name and one.channel == other.channel and shares_days and one.enabled and other.enabled


def _state(one: Campaign, today: date) -> str:
    if not one.enabled:
        return "off"
    return "runs" if one.runs_on(today) else "over" if today >= one.end else "to_come"
