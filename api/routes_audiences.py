"""Audiences of a product: previewed, made, told, and pulled."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import StreamingResponse

from api.audience_models import Audience, AudienceOrder, Outcome, Preview
from api.audience_stream import Pull
from api.audiences import Desk
from api.bulk_formats import MEDIA_TYPES, Format
from api.changing import changed
from api.problems import documented
from api.refusals import UnknownError
from api.routes_lists import STREAMED, encoding_of
from api.running import Running
from api.security import Principal, Scope, requires
from api.service import Service
from api.streams import compressed
from sql.audiences import audience
from sql.client import Address, Store

router = APIRouter(prefix="/api/v1/audiences", tags=["audiences"])
Order = Annotated[
    AudienceOrder,
    Body(examples=[{"product_id": "card_gold", "channel": "crm", "size": 10_000, "control_share": 0.1}]),
]
Writer = Annotated[Principal, requires(Scope.AUDIENCES_WRITE)]
AudienceId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=["5f0c7127b2d84b5fb9a1d6a5c1e0f3aa"])]
_WRONG = documented("A field is wrong, or the catalogue has no such product; `errors` names it.")
_AWAY = documented("ClickHouse does not answer, or there is no snapshot that is fresh enough.")
_UNKNOWN = documented("There is no such audience.")


@router.post("", status_code=201, responses={422: _WRONG, 503: _AWAY})
async def make(request: Request, service: Running, caller: Writer, order: Order) -> Audience:
    """The best users for one product whom consents, events, policy and contact policy let be contacted, in total order.

    Fewer than asked for are delivered where there are no more, and `short` says so. The control group is contacted
    about the product by nobody from now on.
    """
    caller.refuse_other_channel(order.channel)
    desk = _desk(service)
    audience_id = await changed(request, lambda store: desk.make(store, order, actor=caller.client))
    return await changed(request, _kept(audience_id))


@router.post("/preview", responses={422: _WRONG, 503: _AWAY})
async def preview(request: Request, service: Running, caller: Writer, order: Order) -> Preview:
    """What `POST /audiences` would make now: size, scores, what to expect, and whom other audiences have too."""
    caller.refuse_other_channel(order.channel)
    desk = _desk(service)
    return await changed(request, lambda store: desk.preview(store, order))


@router.get("/{audience_id}", responses={404: _UNKNOWN, 503: _AWAY})
async def told(
    request: Request, caller: Annotated[Principal, requires(Scope.LISTS_READ)], audience_id: AudienceId
) -> Audience:
    """What was asked for, and what came out."""
    found = await changed(request, _kept(audience_id))
    caller.refuse_other_channel(found.request.channel)
    return found


@router.get(
    "/{audience_id}/members",
    response_class=StreamingResponse,
    responses={200: STREAMED, 404: _UNKNOWN, 503: _AWAY},
)
async def members(
    *,
    request: Request,
    service: Running,
    caller: Annotated[Principal, requires(Scope.LISTS_READ)],
    audience_id: AudienceId,
    after: Annotated[int, Query(ge=0, le=2**32 - 1, description="go on after this place")] = 0,
    format: Annotated[Format, Query()] = Format.NDJSON,
) -> StreamingResponse:
    """Its members, best first, without the control group and whoever may no longer be contacted.

    The end states the counts and a SHA-256 (of NDJSON and CSV that of the lines with members): without it the pull was
    cut off. NDJSON and CSV are compressed as `Accept-Encoding` says (zstd, gzip).
    """
    found = await changed(request, _kept(audience_id))
    caller.refuse_other_channel(found.request.channel)
    desk = _desk(service)
    pull = Pull(desk, desk.wanted(found.request), audience_id, after, format)
    body = pull.body(Address.of(request.app.state.settings))
    codec, headers = encoding_of(request, format)
    return StreamingResponse(
        compressed(body, codec) if codec else body, media_type=MEDIA_TYPES[format], headers=headers
    )


def _desk(service: Service) -> Desk:
    serving = service.watch.serving
    return Desk(serving, service.watch.moment(serving.snapshot))


def _kept(audience_id: str) -> Callable[[Store], Audience]:
    def read(store: Store) -> Audience:
        kept = audience(store, audience_id)
        if kept is None:
            raise UnknownError("there is no such audience")
        return Audience(
            id=audience_id,
            snapshot_id=kept.snapshot_id,
            created_at=kept.created_at,
            actor=kept.actor,
            request=AudienceOrder.model_validate_json(kept.request),
            outcome=Outcome.model_validate_json(kept.outcome),
        )

    return read
