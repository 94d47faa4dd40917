"""The commands `recs export`: everybody's lists as files, written by the running API."""

import base64
import hashlib
import time
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from data_contracts.errors import InputError, RecsError
from data_contracts.exports import standing_exports
from data_contracts.night import parse_snapshot_id
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Family, Kind, Scope
from infra.calling import call, opened
from infra.console import console, progress, show_json
from infra.console import show as show_table
from infra.options import AsJson, DataDir, settings_of

app = typer.Typer(no_args_is_help=True, help="Everybody's lists as files with a manifest.")

_POLL_SECONDS, _BLOCK = 0.5, 1 << 20
# An API follows the pointer within a second or two.
_FOLLOW_SECONDS = 20.0
Url = Annotated[str | None, typer.Option(help="The API. [default: this machine's, at RECS_API_PORT]")]
ExportId = Annotated[str, typer.Argument(help="As `recs export start` tells it.")]


@app.command()
def start(
    key: Annotated[str, typer.Option(help="The same key is the same export; with other options it is refused.")],
    channel: Annotated[Channel, typer.Option(help="Where the lists will be shown or sent.")] = Channel.CRM,
    format_: Annotated[str, typer.Option("--format", help="parquet or csv")] = "parquet",
    partitions: Annotated[int, typer.Option(min=1, max=256, help="Files, by a hash of the user's id.")] = 1,
    bom: Annotated[bool, typer.Option("--bom", help="CSV begins with a byte order mark.")] = False,
    kind: Kind = Kind.PRODUCT,
    top_k: Annotated[int, typer.Option(min=1, max=100)] = 10,
    segment: Annotated[int | None, typer.Option(min=0, help="Users of this segment only.")] = None,
    family: Annotated[list[Family] | None, typer.Option(help="Products of this family; repeat for more.")] = None,
    send_items: Annotated[
        int, typer.Option(min=1, max=100, help="So many of each list will be sent, and are held until then.")
    ] = 1,
    snapshot: Annotated[str, typer.Option(help="current, or the id of one published before")] = "current",
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write an export to RECS_EXPORTS and wait until its manifest is there; run again, it tells the same one.

    Example: `recs export start --key crm-2026-03-16 --channel crm --format csv --data-dir .local/demo`
    """
    order = {
        "request_key": key,
        "channel": channel.value,
        "format": format_,
        "partitions": partitions,
        "bom": bom,
        "kind": kind.value,
        "top_k": top_k,
        "segment": segment,
        "families": [one.value for one in family or ()],
        "send_items": send_items,
        "snapshot": snapshot,
    }
    settings = settings_of(data_dir=data_dir)
    with progress(quiet=as_json) as bars:
        bars.add_task("writing the export", total=None)
        told = written(settings, order, url=url)
    _show(told, as_json=as_json)


def written(settings: Settings, order: Mapping[str, Any], *, url: str | None = None) -> Mapping[str, Any]:
    """Where an export stands once its manifest is there. Raises RecsError when it failed."""
    told = _call(settings, url, "", order)
    while told["state"] in ("asked", "running"):
        time.sleep(_POLL_SECONDS)
        told = _call(settings, url, f"/{told['export_id']}")
    if told["state"] == "failed":
        raise RecsError(f"export {told['export_id']} failed: {told['why']}; the same command begins it anew")
    return told


@app.command()
def standing(
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Of the night whose lists they are.")],
    folder: Annotated[
        Path | None, typer.Option("--standing", help="Folder of YAML files. [default: RECS_STANDING_EXPORTS]")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a morning's standing exports, each once a date and name; as the night does once it is published.

    Example: `recs export standing --date 2026-03-16`
    """
    settings = settings_of(standing_exports=folder, data_dir=data_dir)
    orders = standing_exports(settings.standing_exports)
    if not orders:
        raise InputError("there are no standing exports: name a folder of YAML files by RECS_STANDING_EXPORTS")
    _await_night(settings, url, day.date())
    with progress(quiet=as_json) as bars:
        task = bars.add_task("writing exports", total=len(orders))
        rows = []
        for one in orders:
            rows.append({"name": one.name, **written(settings, one.order(day.date()), url=url)})
            bars.advance(task)
    if as_json:
        show_json(rows)
        return
    told = ("name", "state", "lists", "bytes", "uri")
    show_table([{name: row[name] for name in told} for row in rows], as_json=False, title=f"exports of {day.date()}")


def _await_night(settings: Settings, url: str | None, day: date) -> None:
    """Raises InputError when the API does not come to serve a snapshot of the day."""
    deadline = time.monotonic() + _FOLLOW_SECONDS
    while True:
        served = call(settings, "/snapshots", scope=Scope.RECOMMENDATIONS_READ, url=url)["current"]
        if served and parse_snapshot_id(served)[0] == day:
            return
        if time.monotonic() > deadline:
            raise InputError(f"the API serves {served or 'no snapshot'}, not one of {day}: publish that first")
        time.sleep(_POLL_SECONDS)


@app.command()
def show(export_id: ExportId, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Where an export stands.

    Example: `recs export show 8f0c…`
    """
    _show(_call(settings_of(data_dir=data_dir), url, f"/{export_id}"), as_json=as_json)


@app.command()
def pull(
    export_id: ExportId,
    out: Annotated[Path, typer.Option(help="Folder; each file is there only when it is whole.")],
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Fetch an export's files without what may not be sent any more since they were written; do it before sending.

    Example: `recs export pull 8f0c… --out crm --data-dir .local/demo`
    """
    settings = settings_of(data_dir=data_dir)
    out.mkdir(parents=True, exist_ok=True)
    files = _call(settings, url, f"/{export_id}")["files"]
    with progress(quiet=as_json) as bars:
        task = bars.add_task("pulling the export", total=len(files))
        for name in files:
            fetch(settings, export_id, name, out, url=url)
            bars.advance(task)
    if as_json:
        show_json({"export_id": export_id, "files": [str(out / name) for name in files]})
        return
    console.print(f"{len(files)} files in {out}, checked and verified", soft_wrap=True)


@app.command()
def sent(
    export_id: ExportId,
    items: Annotated[
        int | None, typer.Option(min=1, max=100, help="So many of each list were sent. [default: its --send-items]")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Confirm that its messages were sent: the contact policy counts them from then on. Twice is once.

    Example: `recs export sent 8f0c… --items 1`
    """
    _show(_call(settings_of(data_dir=data_dir), url, f"/{export_id}/sent", {"items": items}), as_json=as_json)


@app.command()
def cancel(export_id: ExportId, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Take an export back that was not sent, and its contacts with it.

    Example: `recs export cancel 8f0c…`
    """
    _show(_call(settings_of(data_dir=data_dir), url, f"/{export_id}/cancel", {}), as_json=as_json)


def _call(settings: Settings, url: str | None, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return call(settings, f"/exports{path}", scope=Scope.EXPORTS_WRITE, body=body, url=url)


def fetch(settings: Settings, export_id: str, name: str, out: Path, *, url: str | None = None) -> None:
    """A file of an export, checked, into a folder. Raises RecsError when it did not come whole."""
    path, draft, digest = f"/exports/{export_id}/files/{name}", out / f"{name}.part", hashlib.sha256()
    with opened(settings, path, scope=Scope.EXPORTS_WRITE, url=url) as answer, draft.open("wb") as file:
        expected = answer.headers["Repr-Digest"]  # type: ignore[attr-defined]
        while block := answer.read(_BLOCK):
            digest.update(block)
            file.write(block)
    if expected != f"sha-256=:{base64.b64encode(digest.digest()).decode()}:":
        raise RecsError(f"{out / name}: did not come whole: run it again")
    draft.replace(out / name)


def _show(told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(told)
        return
    counts = "" if told["lists"] is None else f": {told['lists']} lists, {told['items']} items"
    console.print(f"{told['export_id']} is {told['state']}{counts}")
    console.print(told["uri"], soft_wrap=True)
