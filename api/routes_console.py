"""What people who look after the service see and decide together. `/console` is the page that asks for it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from api.changing import ELSEWHERE, changed, decided
from api.operator_models import (
    BlockedItem,
    Blocks,
    Me,
    Moves,
    OverrideTold,
    PointerMove,
    Verdicts,
    Waiting,
)
from api.problems import documented
from api.refusals import UnknownError
from api.routes_exports import ExportInfo, told_of
from api.routes_operators import Publisher, Reason, SnapshotId
from api.running import Running
from api.security import Principal, Scope, known, requires
from api.verdicts import manifest_in, snapshot_uri, verdicts
from data_contracts.manifest import Manifest
from data_contracts.settings import Settings
from sql import overrides, pointer, rules
from sql.approvals import Action, requests
from sql.client import Store
from sql.exports import newest_exports
from sql.gated import publish_overridden

router = APIRouter(prefix="/api/v1")
Most = Annotated[int, Query(ge=1, le=100, description="how many at most")]
_AWAY: dict[int | str, dict[str, Any]] = {503: documented("ClickHouse does not answer.")}
_REFUSED: dict[int | str, dict[str, Any]] = {
    404: documented("The lake has no such snapshot."),
    409: documented("It failed a check that nobody may override, or ClickHouse holds something else."),
    422: documented("It passed its gate, nobody else asked within a day, or a reason is missing."),
    **ELSEWHERE,
    **_AWAY,
}
# To load and verify a snapshot takes a while.
_LOAD_SECONDS = 300


@router.get("/me", tags=["service"])
async def me(caller: Annotated[Principal, known()]) -> Me:
    """Whom the token speaks for, and what it allows."""
    ends = None if caller.expires == float("inf") else datetime.fromtimestamp(caller.expires, UTC)
    return Me(client=caller.client, scopes=sorted(caller.scopes), channel=caller.channel, expires_at=ends)


@router.get("/verdicts", responses=_AWAY, dependencies=[requires(Scope.RECOMMENDATIONS_READ)], tags=["snapshots"])
async def told_verdicts(request: Request, service: Running, most: Most = 20) -> Verdicts:
    """The newest snapshots with the gate's verdict on each, those included that it kept out of ClickHouse."""
    current, lake = service.watch.serving.snapshot_id, _settings(request).lake_uri
    found = await changed(request, lambda store: verdicts(store, lake, current=current, most=most))
    return Verdicts(current=current or None, verdicts=found)


@router.get("/moves", responses=_AWAY, dependencies=[requires(Scope.SNAPSHOTS_WRITE)], tags=["operators"])
async def moves(request: Request, most: Most = 20) -> Moves:
    """Who moved the pointer to which snapshot, when and why."""
    found = (await changed(request, pointer.moves))[: -most - 1 : -1]
    return Moves(
        moves=[
            PointerMove(
                moved_at=one.moved_at,
                snapshot_id=one.snapshot_id,
                action=one.action.value,
                actor=one.actor,
                why=one.why,
            )
            for one in found
        ]
    )


@router.post("/snapshots/{snapshot_id}/override", responses=_REFUSED, tags=["operators"])
async def ask_override(
    request: Request, snapshot_id: SnapshotId, caller: Publisher, move: Reason = None
) -> OverrideTold:
    """Ask to publish what the gate stopped, with the reason; within a day somebody else has to approve it."""
    lake, why = _settings(request).lake_uri, move.why if move else ""

    def ask(store: Store) -> Manifest:
        manifest = _manifest(lake, snapshot_id)
        overrides.ask(store, manifest, actor=caller.client, reason=why)
        return manifest

    return _overridden(await decided(request, ask), published=False)


@router.post("/snapshots/{snapshot_id}/override/approve", responses=_REFUSED, tags=["operators"])
async def approve_override(
    request: Request, service: Running, snapshot_id: SnapshotId, caller: Publisher
) -> OverrideTold:
    """Approve what somebody else asked for: the snapshot is loaded, verified and made current."""
    lake, now = _settings(request).lake_uri, service.clock()

    def approve(store: Store) -> Manifest:
        manifest = _manifest(lake, snapshot_id)
        uri = snapshot_uri(lake, snapshot_id)
        publish_overridden(store, manifest, snapshot_uri=uri, actor=caller.client, now=now)
        return manifest

    return _overridden(await decided(request, approve, seconds=_LOAD_SECONDS), published=True)


@router.get("/blocks", responses=_AWAY, dependencies=[requires(Scope.RULES_WRITE)], tags=["operators"])
async def blocks(request: Request) -> Blocks:
    """Items that are stopped now, and which stops somebody asked to end."""

    def read(store: Store) -> Blocks:
        return Blocks(
            blocks=[BlockedItem(**vars(one)) for one in rules.blocks(store)],
            waiting=[
                Waiting(item_id=one.subject, at=one.at, actor=one.actor, reason=one.reason)
                for one in requests(store, Action.UNBLOCK)
            ],
        )

    return await changed(request, read)


@router.get("/exports", responses=_AWAY, tags=["exports"])
async def exports(
    request: Request, caller: Annotated[Principal, requires(Scope.EXPORTS_WRITE)], most: Most = 20
) -> list[ExportInfo]:
    """The exports that were asked for last, newest first: where each stands."""
    found = await changed(request, lambda store: newest_exports(store, most=most))
    mine = [one for one in found if caller.channel in (None, one.request.get("channel"))]
    return [told_of(request, one) for one in mine]


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _manifest(lake: str, snapshot_id: str) -> Manifest:
    manifest = manifest_in(lake, snapshot_id)
    if manifest is None:
        raise UnknownError(f"the lake has no snapshot {snapshot_id}")
    return manifest


def _overridden(manifest: Manifest, *, published: bool) -> OverrideTold:
    return OverrideTold(
        snapshot_id=manifest.snapshot_id,
        published=published,
        checks=[check.name for check in manifest.gate.failures],
    )
