"""Proposals as people are shown them, whatever they are of."""

import json
from collections.abc import Mapping

from pydantic import BaseModel

from api.operator_models import CampaignInfo, Change, ProposalInfo, Taken
from sql import proposals
from sql.proposals import Proposal


def told(one: Proposal, *, changes: list[Change], campaign: CampaignInfo | None = None) -> ProposalInfo:
    return ProposalInfo(
        id=one.proposal_id,
        name=one.name,
        state=one.state.value,
        asked=taken(one.asked),
        decided=taken(one.decided) if one.decided else None,
        document=one.document,
        changes=changes,
        campaign=campaign,
    )


def taken(step: proposals.Taken) -> Taken:
    return Taken(at=step.at, actor=step.actor, reason=step.reason)


def changes(before: BaseModel | None, after: BaseModel) -> list[Change]:
    """Fields that differ, by name."""
    was, will = {} if before is None else _said(before), _said(after)
    return [
        Change(field=name, before=was.get(name), after=will.get(name))
        for name in sorted({*was, *will})
        if was.get(name) != will.get(name)
    ]


def _said(model: BaseModel) -> Mapping[str, str]:
    said = model.model_dump(mode="json", exclude_none=True)
    return {name: one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for name, one in said.items()}
