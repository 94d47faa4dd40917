"""The commands `recs export`: everybody's lists as files, written by the running API."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from data_contracts.errors import InputError, RecsError, UnavailableError
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Family, Kind, Scope
from infra.ask import detail_of
from infra.console import console, progress, show_json
from infra.options import AsJson, DataDir, settings_of
from infra.tokens import own_token

app = typer.Typer(no_args_is_help=True, help="Everybody's lists as files with a manifest.")

_SECONDS, _POLL_SECONDS = 60, 0.5
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
        "snapshot": snapshot,
    }
    settings = settings_of(data_dir=data_dir)
    with progress(quiet=as_json) as bars:
        bars.add_task("writing the export", total=None)
        told = _call(settings, url, "", order)
        while told["state"] in ("asked", "running"):
            time.sleep(_POLL_SECONDS)
            told = _call(settings, url, f"/{told['export_id']}")
    if told["state"] == "failed":
        raise RecsError(f"export {told['export_id']} failed: {told['why']}; the same command begins it anew")
    _show(told, as_json=as_json)


@app.command()
def show(export_id: ExportId, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Where an export stands.

    Example: `recs export show 8f0c…`
    """
    _show(_call(settings_of(data_dir=data_dir), url, f"/{export_id}"), as_json=as_json)


@app.command()
def sent(
    export_id: ExportId,
    items: Annotated[int, typer.Option(min=1, max=100, help="So many of each list were sent.")] = 1,
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
    """Take an export back that was not sent.

    Example: `recs export cancel 8f0c…`
    """
    _show(_call(settings_of(data_dir=data_dir), url, f"/{export_id}/cancel", {}), as_json=as_json)


def _call(settings: Settings, url: str | None, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Raises InputError for what the API refuses, UnavailableError where it does not answer or has no room."""
    base = (url or f"http://127.0.0.1:{settings.api_port}").rstrip("/")
    token = own_token(settings, Scope.EXPORTS_WRITE)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/api/v1/exports{path}", data=data, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - the API's own address
            told: dict[str, Any] = json.loads(answer.read())
            return told
    except urllib.error.HTTPError as error:
        kind = UnavailableError if error.code >= 500 else InputError
        raise kind(f"the API refused: {detail_of(error.read())}") from error
    except OSError as error:
        raise UnavailableError(f"no API at {base}: start it with recs up, or give --url") from error


def _show(told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(told)
        return
    counts = "" if told["lists"] is None else f": {told['lists']} lists, {told['items']} items"
    console.print(f"{told['export_id']} is {told['state']}{counts}")
    console.print(told["uri"], soft_wrap=True)
