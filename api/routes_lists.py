"""Everybody's lists in bulk, for CRM and campaign tools."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from api.bulk import Asked, Pull
from api.bulk_formats import MEDIA_TYPES, Format
from api.crowds import Wanted
from api.models import KIND_IS, MOST_EXCLUDED, USUAL_ITEMS, ItemId, TopK
from api.problems import documented
from api.pulls import CURRENT, Slots, in_threads, opened
from api.refusals import InvalidError
from api.running import Running
from api.security import Scope, requires
from api.streams import compressed
from data_contracts.vocabulary import Channel, Family, Kind, Variant
from sql.ranges import Shard

router = APIRouter(prefix="/api/v1/lists", tags=["lists"])

_IS_TEXT = frozenset({Format.NDJSON, Format.CSV})
STREAMED: dict[str, Any] = {
    "description": "A stream in the format asked for. Its last record tells the counts and a checksum: without it, "
    "the pull is not whole.",
    "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()},
}
ShardOf = Annotated[
    str,
    Query(
        description="`i/n`: of n disjoint parts the one of number i, from 0", pattern=r"^[0-9]{1,4}/[1-9][0-9]{0,3}$"
    ),
]


@router.get(
    "",
    response_class=StreamingResponse,
    responses={
        200: STREAMED,
        404: documented("There is no such snapshot, or it was never published."),
        410: documented("The cursor is too old, or its snapshot is gone: pull again without it."),
        422: documented("A parameter is missing or wrong, or the cursor is another pull's; `errors` names it."),
        503: documented("ClickHouse does not answer, or as many pulls run as may; Retry-After tells."),
    },
    dependencies=[requires(Scope.LISTS_READ)],
)
async def lists(
    *,
    request: Request,
    service: Running,
    channel: Annotated[Channel, Query(description="where the lists will be shown or sent")],
    snapshot: Annotated[
        str,
        Query(
            description="`current`, or the id of one published before", pattern=r"^(current|\d{4}-\d\d-\d\d\.\d{1,6})$"
        ),
    ] = CURRENT,
    variant: Annotated[
        Variant,
        Query(
            description="`personal`: as a look-up answers; `segment`: nobody's own list; `uplift`, `challenger`: by "
            "those models where the night made such a list, else personal"
        ),
    ] = Variant.PERSONAL,
    segment: Annotated[int | None, Query(description="users of this segment only", ge=0, le=32_767)] = None,
    families: Annotated[
        list[Family], Query(description="products of these families only; repeat it for more", max_length=len(Family))
    ] = [],  # noqa: B006 - never changed
    exclude: Annotated[
        list[ItemId], Query(description="an item not to list; repeat it for more", max_length=MOST_EXCLUDED)
    ] = [],  # noqa: B006 - never changed
    kind: Annotated[Kind, Query(description=KIND_IS)] = Kind.PRODUCT,
    top_k: Annotated[TopK, Query(description="most items of a user")] = USUAL_ITEMS,
    shard: ShardOf = "0/1",
    format: Annotated[Format, Query()] = Format.NDJSON,
    cursor: Annotated[str, Query(description="of the last whole chunk of a pull that broke", max_length=512)] = "",
) -> StreamingResponse:
    """Every user's list, as a look-up would answer it, in order of user ids; who is shown nothing is left out.

    In a channel where being shown is being sent (crm) `send_after` is when it is no longer quiet where the user lives,
    UTC; null where it may be sent at once.

    One snapshot throughout, whatever is published meanwhile; rules, blocks and events are those of each chunk's moment.
    A chunk ends with a cursor: a pull that broke goes on with the last one that came, and the same parameters. Parquet
    has no cursors: pull it in shards. NDJSON and CSV are compressed as `Accept-Encoding` says (zstd, gzip).
    """
    wanted = Wanted(channel, kind, top_k, frozenset(families), frozenset(exclude), variant)
    asked = Asked(wanted, segment, shard_of(shard), format)
    pull = await opened(service, request.app.state.settings, asked, snapshot=snapshot, cursor=cursor)
    codec, headers = encoding_of(request, format)
    slots: Slots = request.app.state.pulls
    body = _body(pull, codec, slots)
    # What goes wrong before the first chunk is an answer of its own.
    first = await anext(body)
    headers["X-Snapshot-Id"] = pull.snapshot.snapshot_id
    return StreamingResponse(_with(first, body), media_type=MEDIA_TYPES[format], headers=headers)


async def _body(pull: Pull, codec: str | None, slots: Slots) -> AsyncIterator[bytes]:
    async with slots.one():
        parts = pull.body()
        async for part in in_threads(compressed(parts, codec) if codec else parts):
            if part:
                yield part


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


def shard_of(text: str) -> Shard:
    """Raises InvalidError."""
    number, shards = map(int, text.split("/"))
    if number >= shards:
        raise InvalidError(f"shard: of {shards} the last is {shards - 1}", field="shard")
    return Shard(number, shards)


def encoding_of(request: Request, format_: Format) -> tuple[str | None, dict[str, str]]:
    """How text is compressed for whom asks, if at all, and the headers that say so."""
    codec = accepted(request.headers.get("accept-encoding", "")) if format_ in _IS_TEXT else None
    return codec, {"Vary": "Accept-Encoding", **({"Content-Encoding": codec} if codec else {})}


def accepted(header: str) -> str | None:
    """The better of our encodings that the client takes; None for none."""
    taken = {}
    for one in header.lower().split(","):
        name, _, weight = one.partition(";")
        taken[name.strip()] = weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return next((codec for codec in ("zstd", "gzip") if taken.get(codec, False)), None)
