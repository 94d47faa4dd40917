"""Campaigns: what the bank means to say to whom, and how two people change that."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request

from api.campaigns import Board
from api.changing import changed
from api.operator_models import Campaigns, ProposalInfo, Proposals
from api.problems import documented
from api.routes_proposals import ASKED, AWAY, DECIDED, Drafted, Most, ProposalId, Reasoned, acted, decision_of
from api.running import Running
from api.security import Principal, Scope, requires
from api.service import Service
from api.times import Times
from data_contracts.campaigns import Campaign, Known, campaign_of
from data_contracts.settings import Settings
from sql import proposals
from sql.campaigns import Ground, decide_campaign, propose_campaign
from sql.client import Store
from sql.proposals import Asked, Decision, Kind, Proposal, Step

router = APIRouter(prefix="/api/v1", tags=["campaigns"])
Campaigner = Annotated[Principal, requires(Scope.CAMPAIGNS_WRITE)]


@router.get("/campaigns", responses={422: documented("A campaign's file is wrong; it says where."), **AWAY})
async def campaigns(
    request: Request, service: Running, caller: Annotated[Principal, requires(Scope.LISTS_READ)]
) -> Campaigns:
    """What the bank means to say to whom, with the reach of the newest assignment and what competes with what."""
    found = await changed(request, lambda store: _board(request, service, store).campaigns(caller.channel))
    return Campaigns(campaigns=found)


@router.get("/campaigns/proposals", responses={422: documented("A campaign's file is wrong."), **AWAY})
async def proposed(
    request: Request,
    service: Running,
    caller: Campaigner,
    most: Most = 20,
) -> Proposals:
    """Campaigns that were proposed, with what each would change, its rivals and its reach; and who decided what."""
    found = await changed(request, lambda store: _board(request, service, store).proposed(caller.channel, most=most))
    return Proposals(proposals=found)


@router.post(
    "/campaigns/proposals",
    status_code=202,
    responses=ASKED,
)
async def propose(request: Request, service: Running, caller: Campaigner, draft: Drafted) -> ProposalInfo:
    """Propose a campaign, new or in place of the one of its name. It holds when somebody else has approved it.

    The next assignment goes by it then, whatever the files say. What only turns a campaign off (`enabled: false`) holds
    at once. A proposal waits for 14 days, or until a newer one of its name takes its place.
    """
    asked = Asked(draft.document, actor=caller.client, why=draft.why, now=service.clock())
    ground = _ground(request, service, caller)
    return await _told(request, service, lambda store: propose_campaign(store, asked, ground))


@router.post("/campaigns/proposals/{proposal_id}/approve", responses=DECIDED)
async def approve(
    request: Request, service: Running, caller: Campaigner, proposal_id: ProposalId, given: Reasoned | None = None
) -> ProposalInfo:
    """Approve what somebody else proposed."""
    decision = decision_of(service, caller, proposal_id, Step.APPROVED, given)
    return await _decided(request, service, caller, decision)


@router.post("/campaigns/proposals/{proposal_id}/refuse", responses=DECIDED)
async def refuse(
    request: Request, service: Running, caller: Campaigner, proposal_id: ProposalId, given: Reasoned
) -> ProposalInfo:
    """Refuse what was proposed, or take an own proposal back; with a reason."""
    decision = decision_of(service, caller, proposal_id, Step.REFUSED, given)
    return await _decided(request, service, caller, decision)


async def _decided(request: Request, service: Service, caller: Principal, decision: Decision) -> ProposalInfo:
    ground = _ground(request, service, caller)
    return await _told(request, service, lambda store: decide_campaign(store, decision, ground))


async def _told(request: Request, service: Service, act: Callable[[Store], Proposal]) -> ProposalInfo:
    def done(store: Store) -> ProposalInfo:
        one = act(store)
        return _board(request, service, store).told(one, campaign_of(one.document, one.name))

    return await acted(request, done)


def _board(request: Request, service: Service, store: Store) -> Board:
    settings, now = _settings(request), service.clock()
    found = proposals.proposals(store, Kind.CAMPAIGN, now=now)
    today = now.astimezone(Times.of(settings).timezone).date()
    return Board.read(settings.campaigns, settings.lake_uri, found, today=today)


def _ground(request: Request, service: Service, caller: Principal) -> Ground:
    serving = service.watch.serving

    def refuse_other(campaign: Campaign) -> None:
        caller.refuse_other_channel(campaign.channel)

    catalogue = serving.rule_set.catalogue
    known = Known(catalogue, frozenset(serving.snapshot.fallback.segments) or None) if catalogue.products else None
    return Ground(_settings(request).campaigns, known, refuse_other)


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings
