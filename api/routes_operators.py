"""What operators may do to what is served: publish, roll back, block. Running services follow within a poll."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api import metrics
from api.changing import ELSEWHERE, decided
from api.problems import documented
from api.security import Principal, Scope, requires
from sql import pointer, rules
from sql.approvals import Action, ask_or_agree
from sql.client import Store

router = APIRouter()
Why = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$", description="kept with the change")]
SnapshotId = Annotated[str, Path(max_length=40, pattern=r"^\d{4}-\d{2}-\d{2}\.\d{1,6}$", examples=["2026-03-15.1"])]
_AWAY: dict[int | str, dict[str, Any]] = {**ELSEWHERE, 503: documented("ClickHouse does not answer.")}
_REFUSED: dict[int | str, dict[str, Any]] = {
    409: documented("The snapshot is not verified against its manifest."),
    422: documented("There is no such snapshot in ClickHouse, or a field is wrong."),
    **_AWAY,
}


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Move(_Body):
    why: Why = ""


class Moved(_Body):
    snapshot_id: str
    action: str


class BlockOrder(_Body):
    item_id: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", examples=["loan_cash"])
    blocked: bool = Field(True, description="false asks to end the block, or agrees to that")
    why: Why = ""


class Blocked(_Body):
    item_id: str
    blocked: bool
    asked_by: str | None = Field(None, description="who asked to end the stop; somebody else has to ask for it too")


Publisher = Annotated[Principal, requires(Scope.SNAPSHOTS_WRITE)]
Ruler = Annotated[Principal, requires(Scope.RULES_WRITE)]
Reason = Annotated[Move | None, Body()]


@router.post("/api/v1/snapshots/{snapshot_id}/publish", responses=_REFUSED, tags=["operators"])
async def publish(request: Request, snapshot_id: SnapshotId, caller: Publisher, move: Reason = None) -> Moved:
    """Make a snapshot current that ClickHouse holds verified."""
    why = (move or Move()).why
    await decided(request, lambda store: pointer.publish(store, snapshot_id, actor=caller.client, why=why))
    return Moved(snapshot_id=snapshot_id, action="publish")


@router.post("/api/v1/snapshots/{snapshot_id}/rollback", responses=_REFUSED, tags=["operators"])
async def rollback(request: Request, snapshot_id: SnapshotId, caller: Publisher, move: Reason = None) -> Moved:
    """Go back to an earlier snapshot. Blocks and rules stay as they are."""
    why = (move or Move()).why
    await decided(request, lambda store: pointer.rollback(store, to=snapshot_id, actor=caller.client, why=why))
    return Moved(snapshot_id=snapshot_id, action="rollback")


@router.post(
    "/api/v1/blocks",
    responses={422: documented("Nobody knows the item, it is not blocked, or a field is wrong."), **_AWAY},
    tags=["operators"],
)
async def block(request: Request, order: BlockOrder, caller: Ruler) -> Blocked:
    """Stop showing an item at once, everywhere, whatever the snapshot; or end such a stop.

    One is enough to stop; to end a stop takes two: it goes on until somebody else asks for the same within a day.
    """
    return await decided(request, lambda store: _ordered(store, order, actor=caller.client))


def _ordered(store: Store, order: BlockOrder, *, actor: str) -> Blocked:
    if order.blocked:
        rules.block(store, order.item_id, actor=actor, why=order.why)
        return Blocked(item_id=order.item_id, blocked=True)
    rules.refuse_unblocked(store, order.item_id)
    waits = ask_or_agree(
        store,
        Action.UNBLOCK,
        order.item_id,
        actor=actor,
        reason=order.why,
        make=lambda why: rules.unblock(store, order.item_id, actor=actor, why=why),
    )
    return Blocked(item_id=order.item_id, blocked=waits is not None, asked_by=waits.actor if waits else None)


@router.get("/metrics", tags=["service"], response_class=Response)
async def prometheus() -> Response:
    """For Prometheus: rates, errors, durations, tiers, the snapshot's age. Holds nothing of any user."""
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)
