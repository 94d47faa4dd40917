"""Campaigns: what the bank means to say to whom, and how two people change that."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.campaigns import Board
from api.changing import changed
from api.operator_models import Campaigns, ProposalInfo, Proposals
from api.problems import documented
from api.refusals import ConflictError, InvalidError, UnknownError
from api.routes_operators import Why
from api.running import Running
from api.security import Principal, Scope, requires
from api.service import Service
from api.times import Times
from data_contracts.campaigns import PROPOSED, Campaign, Known, campaign_of
from data_contracts.settings import Settings
from data_contracts.yaml_files import DocumentError
from sql import proposals
from sql.campaigns import Asked, Decision, Ground, decide_campaign, propose_campaign
from sql.client import Store
from sql.proposals import Kind, NoSuchProposalError, NotWaitingError, Proposal, Step

router = APIRouter(prefix="/api/v1", tags=["campaigns"])
Result = TypeVar("Result")
Campaigner = Annotated[Principal, requires(Scope.CAMPAIGNS_WRITE)]
ProposalId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0" * 32])]
_AWAY: dict[int | str, dict[str, Any]] = {503: documented("ClickHouse does not answer.")}
_DECIDED: dict[int | str, dict[str, Any]] = {
    404: documented("There is no such proposal."),
    409: documented("It does not wait any more, or who asks proposed it."),
    422: documented("It contradicts the catalogue or other campaigns by now, or a reason is missing."),
    **_AWAY,
}


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CampaignDraft(_Body):
    document: str = Field(
        min_length=1,
        max_length=20_000,
        description="the campaign as YAML or JSON, as in a file of RECS_CAMPAIGNS",
        examples=["name: loans\nproduct: loan_cash\nchannel: crm\nstart: 2026-03-01\nend: 2026-04-01\nbudget: 100\n"],
    )
    why: Why = Field(min_length=1)


class Reasoned(_Body):
    why: Why = ""


@router.get("/campaigns", responses={422: documented("A campaign's file is wrong; it says where."), **_AWAY})
async def campaigns(
    request: Request, service: Running, caller: Annotated[Principal, requires(Scope.LISTS_READ)]
) -> Campaigns:
    """What the bank means to say to whom, with the reach of the newest assignment and what competes with what."""
    found = await changed(request, lambda store: _board(request, service, store).campaigns(caller.channel))
    return Campaigns(campaigns=found)


@router.get("/campaigns/proposals", responses={422: documented("A campaign's file is wrong."), **_AWAY})
async def proposed(
    request: Request,
    service: Running,
    caller: Campaigner,
    most: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 20,
) -> Proposals:
    """Campaigns that were proposed, with what each would change, its rivals and its reach; and who decided what."""
    found = await changed(request, lambda store: _board(request, service, store).proposed(caller.channel, most=most))
    return Proposals(proposals=found)


@router.post(
    "/campaigns/proposals",
    status_code=202,
    responses={422: documented("The document is no campaign, or contradicts another: field and line tell."), **_AWAY},
)
async def propose(request: Request, service: Running, caller: Campaigner, draft: CampaignDraft) -> ProposalInfo:
    """Propose a campaign, new or in place of the one of its name. It holds when somebody else has approved it.

    The next assignment goes by it then, whatever the files say. What only turns a campaign off (`enabled: false`) holds
    at once. A proposal waits for 14 days, or until a newer one of its name takes its place.
    """
    asked = Asked(draft.document, actor=caller.client, why=draft.why, now=service.clock())
    ground = _ground(request, service, caller)
    return await _told(request, service, lambda store: propose_campaign(store, asked, ground))


@router.post("/campaigns/proposals/{proposal_id}/approve", responses=_DECIDED)
async def approve(
    request: Request, service: Running, caller: Campaigner, proposal_id: ProposalId, given: Reasoned | None = None
) -> ProposalInfo:
    """Approve what somebody else proposed."""
    why = given.why if given else ""
    return await _decided(
        request, service, caller, Decision(proposal_id, Step.APPROVED, caller.client, why, _now(service))
    )


@router.post("/campaigns/proposals/{proposal_id}/refuse", responses=_DECIDED)
async def refuse(
    request: Request, service: Running, caller: Campaigner, proposal_id: ProposalId, given: Reasoned
) -> ProposalInfo:
    """Refuse what was proposed, or take an own proposal back; with a reason."""
    decision = Decision(proposal_id, Step.REFUSED, caller.client, given.why, _now(service))
    return await _decided(request, service, caller, decision)


async def _decided(request: Request, service: Service, caller: Principal, decision: Decision) -> ProposalInfo:
    ground = _ground(request, service, caller)
    return await _told(request, service, lambda store: decide_campaign(store, decision, ground))


async def _told(request: Request, service: Service, act: Callable[[Store], Proposal]) -> ProposalInfo:
    def acted(store: Store) -> ProposalInfo:
        one = act(store)
        return _board(request, service, store).told(one, campaign_of(one.document, one.name))

    try:
        return await changed(request, acted)
    except DocumentError as error:
        raise _fault(error) from error
    except NoSuchProposalError as error:
        raise UnknownError(str(error)) from error
    except NotWaitingError as error:
        raise ConflictError(str(error)) from error


def _fault(error: DocumentError) -> InvalidError:
    """A fault of the document itself by its field; one of another campaign's, by file and line."""
    if error.path.name != PROPOSED:
        return InvalidError(str(error), field="document")
    return InvalidError(f"line {error.line}: {error.why}", field=f"document.{error.where}".rstrip("."))


def _board(request: Request, service: Service, store: Store) -> Board:
    settings, now = _settings(request), _now(service)
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


def _now(service: Service) -> datetime:
    return service.clock()
