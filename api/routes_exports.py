"""Everybody's lists as files: asked for by a key, looked at, confirmed when sent, or cancelled."""

import asyncio
import base64
import io
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from api.bulk import Asked
from api.bulk_formats import Format
from api.crowds import Wanted
from api.export_check import bytes_of, digest_of
from api.export_rows import PAIRS_HEAD
from api.export_writing import Order
from api.exports import Exports
from api.problems import documented
from api.pulls import CURRENT, Slots, in_threads
from api.refusals import UnknownError
from api.running import Running
from api.security import Principal, Scope, requires
from data_contracts.exports import ExportTerms
from sql.exports import Export, Step

router = APIRouter(prefix="/api/v1/exports", tags=["exports"])

Exporter = Annotated[Principal, requires(Scope.EXPORTS_WRITE)]
ExportId = Annotated[str, Path(pattern="^[0-9a-f]{24}$", description="as the answer to the order tells it")]
_REFUSED: dict[int | str, dict[str, Any]] = {
    404: documented("There is no such export."),
    409: documented("Where it stands, that cannot be done any more, or not yet."),
    503: documented("ClickHouse does not answer."),
}


_FILE: dict[str, Any] = {"description": "The file.", "content": {"application/octet-stream": {}}}
_REMOVED: dict[str, Any] = {"description": "Lines of user_id,item_id below a header.", "content": {"text/csv": {}}}


class ExportOrder(ExportTerms):
    request_key: str = Field(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00]*$",
        description="of this client: the same key is the same export, and is refused with other fields",
        examples=["crm-2026-03-16"],
    )
    snapshot: str = Field(CURRENT, pattern=r"^(current|\d{4}-\d\d-\d\d\.\d{1,6})$")

    def order(self, actor: str) -> Order:
        wanted = Wanted(self.channel, self.kind, self.top_k, self.families, self.exclude, self.variant)
        # Without what is as it always was, so that orders from before there was a choice are the same.
        told = self.model_dump(mode="json", exclude={"request_key", *({"send_items"} if self.send_items == 1 else ())})
        request = told | {name: sorted(told[name]) for name in ("families", "exclude")}
        asked = Asked(wanted, self.segment, format=Format(self.format))
        return Order(actor, self.request_key, asked, self.snapshot, self.partitions, self.bom, request)


class Confirmation(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int | None = Field(
        None, ge=1, le=100, description="how many of each list, from the first on, were sent; by default its send_items"
    )


class ExportInfo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    export_id: str
    state: Step
    since: str
    uri: str = Field(description="its folder; an export is whole when its manifest.json is there")
    snapshot_id: str | None = Field(None, description="once it is written")
    users: int | None = Field(None, description="looked at so far")
    lists: int | None = None
    items: int | None = None
    bytes: int | None = Field(None, description="of its files, once it is written")
    files: tuple[str, ...] = Field((), description="to be pulled, once it is written; the manifest names their paths")
    sent_items: int | None = Field(None, description="of each list, once that is being confirmed")
    contacts: int | None = Field(None, description="counted when it was sent")
    why: str | None = Field(None, description="it failed")


@router.post(
    "",
    status_code=202,
    responses={
        404: documented("There is no such snapshot, or it was never published."),
        409: documented("The key was used for another export."),
        503: documented("ClickHouse does not answer, or as many exports are written as may; Retry-After tells."),
    },
)
async def ask(
    request: Request, service: Running, caller: Exporter, ordered: Annotated[ExportOrder, Body()]
) -> ExportInfo:
    """Write everybody's lists as files, in the background; `manifest.json` is written last.

    Ask again with the same key to see where it stands; one whose writer was killed is begun anew. Where being listed is
    being sent (crm), the first `send_items` of each list count as contacts from then on, until the export is sent or
    cancelled, or for RECS_EXPORTS_HOLD_DAYS.
    """
    caller.refuse_other_channel(ordered.channel)
    exports = _exports(request)
    return _info(exports, await exports.ask(service, ordered.order(caller.client)))


@router.get("/{export_id}", responses={404: _REFUSED[404], 503: _REFUSED[503]})
async def look(request: Request, export_id: ExportId, caller: Exporter) -> ExportInfo:
    """Where an export stands."""
    exports = _exports(request)
    found = await exports.look(export_id)
    if found is None:
        raise UnknownError("there is no such export")
    caller.refuse_other_channel(found.request["channel"])
    return _info(exports, found)


@router.get("/{export_id}/files/{name}", response_class=StreamingResponse, responses={200: _FILE, **_REFUSED})
async def part(
    request: Request,
    service: Running,
    export_id: ExportId,
    caller: Exporter,
    name: Annotated[str, Path(pattern=r"^part-\d{5}\.(parquet|csv)$", description="as the export tells it")],
) -> StreamingResponse:
    """A file of an export that was not sent yet, without what may not be sent any more at this moment.

    Consents, suppressions, erasures, compliance stops and the contact policy are asked about again; nothing is added.
    What was taken out is also left beside the manifest. Repr-Digest tells the SHA-256 of what comes.
    """
    await look(request, export_id, caller)
    slots: Slots = request.app.state.pulls
    async with slots.one():
        file = await _exports(request).part(service, export_id, name)
        size, digest = await asyncio.to_thread(digest_of, file)
    headers = {"Content-Length": str(size), "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:"}
    return StreamingResponse(in_threads(bytes_of(file)), media_type="application/octet-stream", headers=headers)


@router.get("/{export_id}/removed", response_class=StreamingResponse, responses={200: _REMOVED, **_REFUSED})
async def removed(request: Request, service: Running, export_id: ExportId, caller: Exporter) -> StreamingResponse:
    """For who reads an export's files where they lie: users and items that may not be sent any more at this moment."""
    await look(request, export_id, caller)
    slots: Slots = request.app.state.pulls
    async with slots.one():
        files = await _exports(request).removed(service, export_id)
    return StreamingResponse(in_threads(bytes_of(io.BytesIO(PAIRS_HEAD), *files)), media_type="text/csv")


@router.post("/{export_id}/sent", responses=_REFUSED)
async def sent(
    request: Request,
    service: Running,
    export_id: ExportId,
    caller: Exporter,
    confirmed: Annotated[Confirmation | None, Body()] = None,
) -> ExportInfo:
    """Confirm that its messages were sent: from then on the contact policy counts them for good. Twice is once.

    What was taken out when its files were pulled is not counted, nor, of files that nobody pulled, what may not be sent
    now. To count takes minutes: meanwhile it is confirming, and where that breaks off, the same request goes on.
    """
    await look(request, export_id, caller)
    items = (confirmed or Confirmation()).items
    exports = _exports(request)
    return _info(exports, await exports.sent(service, export_id, actor=caller.client, items=items))


@router.post("/{export_id}/cancel", responses=_REFUSED)
async def cancel(request: Request, export_id: ExportId, caller: Exporter) -> ExportInfo:
    """Take an export back that was not sent: its manifest goes, and its contacts are given back."""
    await look(request, export_id, caller)
    exports = _exports(request)
    return _info(exports, await exports.cancel(export_id, actor=caller.client))


def _exports(request: Request) -> Exports:
    exports: Exports = request.app.state.exports
    return exports


def told_of(request: Request, found: Export) -> ExportInfo:
    return _info(_exports(request), found)


def _info(exports: Exports, found: Export) -> ExportInfo:
    return ExportInfo(
        export_id=found.export_id,
        state=found.step,
        since=found.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        uri=exports.folder(found.export_id).uri.partition("?")[0],
        **found.told,
    )
