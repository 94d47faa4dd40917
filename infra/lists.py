"""The commands `recs lists`: everybody's lists, pulled from the running API."""

from pathlib import Path
from typing import Annotated

import typer

from data_contracts.vocabulary import Channel, Family, Kind, Scope, Variant
from infra.console import console, progress, show_json
from infra.options import AsJson, DataDir, settings_of

app = typer.Typer(no_args_is_help=True, help="Everybody's lists in bulk.")


@app.callback()
def lists() -> None:
    """Everybody's lists in bulk."""


@app.command()
def pull(
    out: Annotated[Path, typer.Option(help="File; it is there only when it is whole.")],
    channel: Annotated[Channel, typer.Option(help="Where the lists will be shown or sent.")] = Channel.CRM,
    format_: Annotated[str, typer.Option("--format", help="ndjson, csv, arrow or parquet")] = "ndjson",
    kind: Kind = Kind.PRODUCT,
    top_k: Annotated[int, typer.Option(min=1, max=100)] = 10,
    snapshot: Annotated[str, typer.Option(help="current, or the id of one published before")] = "current",
    variant: Variant = Variant.PERSONAL,
    segment: Annotated[int | None, typer.Option(min=0, help="Users of this segment only.")] = None,
    family: Annotated[list[Family] | None, typer.Option(help="Products of this family; repeat for more.")] = None,
    shard: Annotated[str, typer.Option(help="i/n: of n disjoint parts the one of number i, from 0.")] = "0/1",
    tries: Annotated[int, typer.Option(min=1, help="Tries in a row that bring nothing before giving up.")] = 5,
    url: Annotated[str | None, typer.Option(help="The API. [default: this machine's, at RECS_API_PORT]")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pull everybody's lists into a file, and verify that nothing is missing.

    One that broke, or was killed, goes on where it was when it is run again. Shows the API RECS_TOKEN, else a token of
    the local issuer in the data folder.

    Example: `recs lists pull --channel crm --format ndjson --out lists.ndjson --data-dir .local/demo`
    """
    from api.bulk_formats import Format
    from infra.pulling import Source
    from infra.pulling import pull as pull_lists
    from infra.tokens import own_token

    settings = settings_of(data_dir=data_dir)
    parameters = {
        "channel": channel.value,
        "kind": kind.value,
        "top_k": top_k,
        "snapshot": snapshot,
        "variant": variant.value,
        "families": [one.value for one in family or ()],
        "shard": shard,
        "format": _format(format_),
        **({} if segment is None else {"segment": segment}),
    }
    source = Source(
        (url or f"http://127.0.0.1:{settings.api_port}").rstrip("/"),
        parameters,
        token=lambda: own_token(settings, Scope.LISTS_READ),
    )
    with progress(quiet=as_json) as bars:
        bars.add_task(f"pulling {channel.value} lists", total=None)
        told = pull_lists(source, out, format_=Format(format_), tries=tries)
    if as_json:
        show_json(told)
        return
    console.print(f"{out}: {told['lists']} lists of {told['users']} users, {told['items']} items, verified")
    console.print(f"snapshot {told['snapshot_id']}, shard {told['shard']}")


def _format(word: str) -> str:
    from api.bulk_formats import Format

    if word not in set(Format):
        raise typer.BadParameter(f"one of {', '.join(Format)}")
    return word
