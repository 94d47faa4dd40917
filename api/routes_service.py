"""The service itself: is it alive, what could it serve, which snapshots are there."""

from fastapi import APIRouter

from api.models import Alive, Readiness, SnapshotInfo, Snapshots
from api.problems import documented
from api.running import Running
from api.security import Scope, requires
from data_contracts.vocabulary import Tier

router = APIRouter()


@router.get(
    "/api/v1/snapshots",
    responses={503: documented("ClickHouse does not answer.")},
    dependencies=[requires(Scope.RECOMMENDATIONS_READ)],
    tags=["snapshots"],
)
async def snapshots(service: Running) -> Snapshots:
    """The snapshots that ClickHouse holds, newest first, and the one that this service answers from."""
    current = service.watch.serving.snapshot_id
    held = [
        SnapshotInfo(
            snapshot_id=row.snapshot_id,
            state=row.state,
            is_current=row.snapshot_id == current,
            moved_at=row.moved_at.isoformat(),
        )
        for row in await service.store.snapshots()
    ]
    return Snapshots(current=current or None, snapshots=held)


@router.get("/healthz", tags=["service"])
async def healthz() -> Alive:
    """The process lives."""
    return Alive(status="ok")


@router.get("/readyz", tags=["service"])
async def readyz(service: Running) -> Readiness:
    """The best tier that could be served now, and why it is no better. Static is ready too: a look-up never fails."""
    watch = service.watch
    has_lists = watch.is_up and watch.serving.snapshot.is_whole
    reasons = [trouble for trouble in (watch.outage, watch.lag, watch.outdated, watch.deaf) if trouble]
    if watch.is_up and not watch.serving.snapshot.is_whole and not watch.lag:
        reasons.append("no snapshot is published")
    return Readiness(
        tier=Tier.STATIC if not has_lists else Tier.SEGMENT if watch.outdated else Tier.PERSONAL,
        reasons=reasons,
        snapshot_id=watch.serving.snapshot_id or None,
        policy_hash=watch.serving.policy.hash,
    )
