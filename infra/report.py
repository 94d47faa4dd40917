"""The command `recs report`: the page of a snapshot, made anew from what the lake holds."""

from typing import Annotated

import typer

from data_contracts.errors import InputError
from data_contracts.night import parse_snapshot_id
from infra.console import console, progress
from infra.options import DataDir, settings_of


def report(
    snapshot_id: Annotated[str | None, typer.Argument(help="Such as 2026-03-15.1. [default: the newest]")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a snapshot's report, one file that opens offline, and say where it lies.

    The night makes it too. Needs no running service.

    Example: `recs report 2026-03-16.1 --open`
    """
    from spark_jobs.report.make import make_report

    settings = settings_of(data_dir=data_dir)
    chosen = snapshot_id or _newest(settings.lake_uri)
    parse_snapshot_id(chosen)
    with progress() as bars:
        bars.add_task(f"report of {chosen}", total=None)
        made = make_report(settings.lake_uri, chosen)
    console.print(made.uri, soft_wrap=True)
    if show:
        typer.launch(made.uri)


def _newest(lake: str) -> str:
    """The newest snapshot that was sealed, stopped or not."""
    from spark_jobs.lake.snapshot_files import manifest_of, snapshot_uris

    sealed = [uri.rpartition("/")[2] for uri in snapshot_uris(lake) if manifest_of(uri) is not None]
    if not sealed:
        raise InputError(f"{lake} holds no sealed snapshot: run `recs night` first")
    return max(sealed, key=parse_snapshot_id)
