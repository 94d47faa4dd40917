"""Audiences of a product: previewed, made, told, and pulled."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Path, Query, Request
from fastapi.responses import StreamingResponse

from api.audience_models import Audience, AudienceOrder, Outcome, Preview
from api.audience_sending import AudienceSendings
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
from sql.audiences import KeptAudience, audience
from sql.client import Address, Store
from sql.exports import Step, export_of

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
_USED = documented("The Idempotency-Key was used for another audience.")
_SETTLED: dict[int | str, dict[str, Any]] = {
    404: _UNKNOWN,
    409: documented("It was sent or cancelled, and that cannot be done any more."),
    503: _AWAY,
}
_STATUS: Mapping[Step, Literal["confirming", "sent", "cancelled"]] = {
    Step.CONFIRMING: "confirming",
    Step.SENT: "sent",
    Step.CANCELLED: "cancelled",
}


@router.post("", status_code=201, responses={409: _USED, 422: _WRONG, 503: _AWAY})
async def make(
    *,
    request: Request,
    service: Running,
    caller: Writer,
    order: Order,
    idempotency_key: Annotated[
        str,
        Header(
            description="the same key of the same client is the same audience, and is refused with other fields",
            max_length=128,
        ),
    ] = "",
) -> Audience:
    """The best users for one product whom consents, events, policy and contact policy let be contacted, in total order.

    Fewer than asked for are delivered where there are no more, and `short` says so. The control group is contacted
    about the product by nobody from now on.
    """
    caller.refuse_other_channel(order.channel)
    desk = _desk(service)
    audience_id = await changed(
        request, lambda store: desk.make(store, order, actor=caller.client, key=idempotency_key)
    )
    return await changed(request, _told(audience_id))


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
    return await _mine(request, caller, audience_id)


@router.post("/{audience_id}/sent", responses=_SETTLED)
async def sent(request: Request, service: Running, caller: Writer, audience_id: AudienceId) -> Audience:
    """Confirm that its members were sent what they were pulled for: the contact policy counts that. Twice is once.

    Every member is counted but the control group and who was erased, also whom a pull left out: nobody noted those.
    """
    one = await _mine(request, caller, audience_id)
    await _sendings(request).sent(service, one, actor=caller.client)
    return await changed(request, _told(audience_id))


@router.post("/{audience_id}/cancel", responses=_SETTLED)
async def cancel(request: Request, caller: Writer, audience_id: AudienceId) -> Audience:
    """Give up an audience that was not sent: its control group may be contacted about the product again."""
    await _sendings(request).cancel(await _mine(request, caller, audience_id), actor=caller.client)
    return await changed(request, _told(audience_id))


@router.get(
    "/{audience_id}/members",
    response_class=StreamingResponse,
    responses={200: STREAMED, **_SETTLED},
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

    `send_after`: until then it is quiet where the member lives; null where the message may go at once.

    The end states the counts and a SHA-256 (of NDJSON and CSV that of the lines with members): without it the pull was
    cut off. NDJSON and CSV are compressed as `Accept-Encoding` says (zstd, gzip).
    """
    found = await _mine(request, caller, audience_id)
    await _sendings(request).refuse_settled(audience_id)
    desk = _desk(service)
    kept = await changed(request, lambda store: _kept(store, audience_id))
    pull = Pull(desk, desk.wanted(found.request), kept.members, after, format)
    body = pull.body(Address.of(request.app.state.settings))
    codec, headers = encoding_of(request, format)
    return StreamingResponse(
        compressed(body, codec) if codec else body, media_type=MEDIA_TYPES[format], headers=headers
    )


def _desk(service: Service) -> Desk:
    serving = service.watch.serving
    return Desk(serving, service.watch.moment(serving.snapshot))


def _sendings(request: Request) -> AudienceSendings:
    sendings: AudienceSendings = request.app.state.audiences
    return sendings


async def _mine(request: Request, caller: Principal, audience_id: str) -> Audience:
    """Raises UnknownError, and where it is of another channel than the caller's."""
    found = await changed(request, _told(audience_id))
    caller.refuse_other_channel(found.request.channel)
    return found


def _kept(store: Store, audience_id: str) -> KeptAudience:
    kept = audience(store, audience_id)
    if kept is None:
        raise UnknownError("there is no such audience")
    return kept


def _told(audience_id: str) -> Callable[[Store], Audience]:
    def read(store: Store) -> Audience:
        kept, book = _kept(store, audience_id), export_of(store, audience_id)
        return Audience(
            id=audience_id,
            status=_STATUS[book.step] if book else "ready",
            contacts=book.told.get("contacts") if book else None,
            snapshot_id=kept.snapshot_id,
            created_at=kept.created_at,
            actor=kept.actor,
            request=AudienceOrder.model_validate_json(kept.request),
            outcome=Outcome.model_validate_json(kept.outcome),
        )

    return read
