"""Who must no longer be addressed: from the moment of the answer on, in whatever is asked for."""

from datetime import timedelta
from io import StringIO
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.changing import ELSEWHERE, decided
from api.models import LARGEST_BATCH, UserId
from api.problems import documented
from api.refusals import InvalidError
from api.running import Running
from api.security import Principal, Scope, count_users, requires
from data_contracts.errors import InputError
from data_contracts.suppressions import ALL, Suppression, SuppressionFile, Terms, over
from sql.client import Store
from sql.rules import is_known
from sql.suppressions import Order, OtherKeyError, suppress, suppress_file

router = APIRouter(tags=["suppressions"])
_CSV = "text/csv"


class SuppressionOrder(Terms):
    user_ids: tuple[UserId, ...] = Field(min_length=1, max_length=LARGEST_BATCH)


class RefusedLine(BaseModel):
    model_config = ConfigDict(frozen=True)

    line: int = Field(description="of the file; its header is line 1")
    reason: str


class Suppressed(BaseModel):
    """`id` is "" where no row of a file was good."""

    model_config = ConfigDict(frozen=True)

    id: str
    accepted: int = Field(description="users, or rows of a file, of whom it holds")
    refused: list[RefusedLine] = Field([], description="rows of a file that were not taken")


_REFUSED_ROWS = {
    "description": "Successful Response",
    "headers": {
        name: {"description": f"with text/csv: {what}", "schema": {"type": "string"}}
        for name, what in (
            ("Suppression-Id", "`id`"),
            ("Rows-Accepted", "`accepted`"),
            ("Rows-Refused", "their number"),
        )
    },
    "content": {
        _CSV: {
            "schema": {"type": "string"},
            "example": "line,refusal,user_id,kind\r\n3,user_id: is missing,,opt_out\r\n",
        }
    },
}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A model's schema without references, for a body that FastAPI does not read."""
    parts = schema.pop("$defs", {})

    def walk(part: Any) -> Any:
        if isinstance(part, dict):
            return parts[part["$ref"].rpartition("/")[2]] if "$ref" in part else {k: walk(v) for k, v in part.items()}
        return [walk(one) for one in part] if isinstance(part, list) else part

    told: dict[str, Any] = walk(schema)
    return told


_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": _inlined(SuppressionOrder.model_json_schema()),
            "example": {"user_ids": ["1000042"], "kind": "complaint", "channel": "crm", "reason": "call 481"},
        },
        _CSV: {
            "schema": {"type": "string"},
            "example": "user_id,kind,channel,product_id,family,reason,until\n1000042,opt_out,crm,,,letter,\n",
        },
    },
}


IdempotencyKey = Annotated[
    str,
    Header(
        description="the same key of the same client counts once, and is refused with other content while it is "
        "known (24 hours by default)",
        max_length=128,
    ),
]
Suppressor = Annotated[Principal, requires(Scope.SUPPRESSIONS_WRITE)]


def _ordered(request: Request, service: Running, caller: Suppressor, idempotency_key: IdempotencyKey = "") -> Order:
    known_for = timedelta(hours=request.app.state.settings.idempotency_hours)
    return Order(actor=caller.client, at=service.clock(), key=idempotency_key, known_for=known_for)


Ordered = Annotated[Order, Depends(_ordered)]


@router.post(
    "/api/v1/suppressions",
    status_code=202,
    response_model=Suppressed,
    responses={
        202: _REFUSED_ROWS,
        **ELSEWHERE,
        422: documented("A field is wrong, nobody knows the product, or the Idempotency-Key was used for another."),
        503: documented("ClickHouse does not answer: nothing was accepted."),
    },
    openapi_extra={"requestBody": _BODY},
)
async def suppressions(request: Request, caller: Suppressor, order: Ordered) -> Suppressed | Response:
    """Stop addressing users: in one channel or all, about everything, a product or a family, for good or until a time.

    Once answered it holds in every answer, whatever the snapshot. A file (text/csv, UTF-8, with a header) says it row
    by row: its good rows are taken, the others told, or with `Accept: text/csv` given back as they were, each with its
    line and why: mended, that is a file to send. A lift, or an opt-in that comes later in the app, opens a channel
    again; after an erasure nothing does.
    """
    body = await request.body()
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _CSV:
            caller.refuse_other_channel(ALL)
            return await _take_file(request, body, order)
        given = _read(body)
        caller.refuse_other_channel(given.channel)
        count_users(request, caller, given.user_ids)
        return await _take(request, given, order)
    except OtherKeyError as error:
        raise InvalidError(str(error), field="Idempotency-Key") from error


def _read(body: bytes) -> SuppressionOrder:
    try:
        return SuppressionOrder.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in errors]) from error


async def _take(request: Request, given: SuppressionOrder, order: Order) -> Suppressed:
    if why := over(given, order.at):
        raise InvalidError(why, field="until")
    terms = Terms.model_validate(given.model_dump(exclude={"user_ids"}))
    wanted = [Suppression(user_id, terms) for user_id in dict.fromkeys(given.user_ids)]

    def take(store: Store) -> str:
        if terms.product_id and not is_known(store, terms.product_id):
            raise InvalidError("product_id: nobody knows it", field="product_id")
        return suppress(store, wanted, order)

    return Suppressed(id=await decided(request, take), accepted=len(wanted))


async def _take_file(request: Request, body: bytes, order: Order) -> Suppressed | Response:
    try:
        lines = StringIO(body.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise InvalidError("body: is not UTF-8", field="body") from error

    def take(store: Store) -> tuple[str, SuppressionFile]:
        return suppress_file(store, lines, order)

    try:
        suppression_id, file = await decided(request, take)
    except OtherKeyError:
        raise
    except InputError as error:
        raise InvalidError(f"body: {error}", field="body") from error
    if _wants_csv(request):
        told = (suppression_id, len(file.taken), len(file.refused))
        headers = dict(zip(_REFUSED_ROWS["headers"], map(str, told), strict=True))
        return Response(file.refused_csv(), status_code=202, media_type=_CSV, headers=headers)
    refused = [RefusedLine(line=one.line, reason=one.reason) for one in file.refused]
    return Suppressed(id=suppression_id, accepted=len(file.taken), refused=refused)


def _wants_csv(request: Request) -> bool:
    wanted = request.headers.get("accept", "").split(",")
    return _CSV in {one.partition(";")[0].strip().lower() for one in wanted}
