"""The calls of the service. Each validates, asks, and writes; nothing is decided here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from api.answers import Writer
from api.lookup import Lookup
from api.models import (
    Alive,
    Locale,
    Readiness,
    Recommendations,
    SnapshotInfo,
    Snapshots,
    TopK,
    UserId,
)
from api.problems import documented
from api.recommend import Question
from api.security import Scope, requires
from api.store import Store
from api.watch import Watch
from data_contracts.vocabulary import Channel, Kind, Tier


@dataclass(frozen=True)
class Service:
    """The parts of a running service, wired in `app`."""

    store: Store
    watch: Watch
    lookup: Lookup
    writer: Writer
    clock: Callable[[], datetime]


async def _service(request: Request) -> Service:
    # async, though it waits for nothing: FastAPI runs others in a thread.
    service: Service = request.app.state.service
    return service


Running = Annotated[Service, Depends(_service)]
router = APIRouter()


@router.get(
    "/api/v1/recommendations",
    response_model=Recommendations,
    responses={422: documented("A parameter is missing or wrong; `errors` names it.")},
    dependencies=[requires(Scope.RECOMMENDATIONS_READ)],
    tags=["recommendations"],
)
async def recommendations(
    *,
    service: Running,
    user_id: Annotated[UserId, Query(description="internal id of the user", examples=["1000042"])],
    channel: Annotated[Channel, Query(description="where the answer will be shown")],
    top_k: Annotated[TopK, Query(description="most items to answer")] = 10,
    kind: Annotated[Kind, Query(description="bank products, or partners' offers")] = Kind.PRODUCT,
    locale: Annotated[Locale, Query(description="language of names and reasons")] = Locale.EN,
) -> Response:
    """What to show a user now, best first.

    Always answers: where the personal list is not to be had, or is too short, the segment's, the popular and the
    static list fill it, as far as the rules on showing allow. `tier` says where the answer came from.
    """
    question = Question(user_id, channel, kind, top_k)
    reply = await service.lookup.ask(question)
    body = service.writer.body(question, reply, locale=locale, now=service.clock())
    return Response(body, media_type="application/json")


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
    reasons = [trouble for trouble in (watch.outage, watch.lag, watch.outdated) if trouble]
    if watch.is_up and not watch.serving.snapshot.is_whole and not watch.lag:
        reasons.append("no snapshot is published")
    return Readiness(
        tier=Tier.STATIC if not has_lists else Tier.SEGMENT if watch.outdated else Tier.PERSONAL,
        reasons=reasons,
        snapshot_id=watch.serving.snapshot_id or None,
        policy_hash=watch.serving.policy.hash,
    )
