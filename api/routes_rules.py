"""The rules on showing: those that are served, and how two people change them."""

from typing import Annotated

from fastapi import APIRouter, Request

from api.changing import changed
from api.operator_models import ProposalInfo, Proposals, ServedRules
from api.problems import documented
from api.refusals import UnknownError
from api.routes_proposals import ASKED, AWAY, DECIDED, Drafted, Most, ProposalId, Reasoned, acted, decision_of
from api.running import Running
from api.security import Principal, Scope, requires
from api.told_proposals import changes, told
from data_contracts.errors import InputError
from data_contracts.yaml_files import as_document
from sql import proposals
from sql.client import Store
from sql.proposals import Asked, Decision, Kind, Proposal, State, Step
from sql.rule_proposals import decide_rules, propose_rules, rules_of
from sql.rules import RuleSet, current_rule_set

router = APIRouter(prefix="/api/v1", tags=["operators"])
Ruler = Annotated[Principal, requires(Scope.RULES_WRITE)]


@router.get("/rules", responses={404: documented("No rules are served yet."), **AWAY})
async def rules(request: Request, _: Ruler) -> ServedRules:
    """The rules that are served, whatever the snapshot, and who brought them into force."""
    one = await changed(request, current_rule_set)
    if one is None:
        raise UnknownError("no rules are served yet")
    return ServedRules(
        version=one.rules.version, approved_at=one.approved_at, actor=one.actor, document=as_document(one.rules)
    )


@router.get("/rules/proposals", responses=AWAY)
async def proposed(request: Request, service: Running, _: Ruler, most: Most = 20) -> Proposals:
    """Rules that were proposed, with what each would change, and who decided what."""

    def read(store: Store) -> list[ProposalInfo]:
        serving = current_rule_set(store)
        found = proposals.proposals(store, Kind.RULES, now=service.clock())
        return [_told(one, serving) for one in found[: -most - 1 : -1]]

    return Proposals(proposals=await changed(request, read))


@router.post("/rules/proposals", status_code=202, responses=ASKED)
async def propose(request: Request, service: Running, caller: Ruler, draft: Drafted) -> ProposalInfo:
    """Propose rules, all of them, as in `rules.yaml`. They are served as soon as somebody else has approved them.

    They stay until a delivery of reference data brings other rules than it did before. A stop of one item
    (`/api/v1/blocks`) needs nobody else.
    """
    asked = Asked(draft.document, actor=caller.client, why=draft.why, now=service.clock())
    return await acted(request, lambda store: _told(propose_rules(store, asked), current_rule_set(store)))


@router.post("/rules/proposals/{proposal_id}/approve", responses=DECIDED)
async def approve(
    request: Request, service: Running, caller: Ruler, proposal_id: ProposalId, given: Reasoned | None = None
) -> ProposalInfo:
    """Approve rules that somebody else proposed: they are served at once."""
    return await _decided(request, decision_of(service, caller, proposal_id, Step.APPROVED, given))


@router.post("/rules/proposals/{proposal_id}/refuse", responses=DECIDED)
async def refuse(
    request: Request, service: Running, caller: Ruler, proposal_id: ProposalId, given: Reasoned
) -> ProposalInfo:
    """Refuse rules that were proposed, or take an own proposal back; with a reason."""
    return await _decided(request, decision_of(service, caller, proposal_id, Step.REFUSED, given))


async def _decided(request: Request, decision: Decision) -> ProposalInfo:
    return await acted(request, lambda store: _told(decide_rules(store, decision), current_rule_set(store)))


def _told(one: Proposal, serving: RuleSet | None) -> ProposalInfo:
    if one.state is not State.WAITING:
        return told(one, changes=[])
    try:
        return told(one, changes=changes(serving.rules if serving else None, rules_of(one.document)))
    except InputError:  # of an earlier version, which are no rules any more
        return told(one, changes=[])
