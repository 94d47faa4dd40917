"""`recs backfill`: the features of a range of nights, made from the silver tables as they are."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from data_contracts.errors import InputError
from data_contracts.settings import Settings
from infra.console import console, progress, show_json
from infra.options import AsJson, DataDir, settings_of


def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First as-of date.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last as-of date, included.")],
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Fold from the first day there is, whatever is known already.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make the features of every night of a range that are missing, or that late days have made wrong.

    Nothing is ingested and nothing is published. What is right already is left alone.

    Examples: `recs backfill --from 2026-03-01 --to 2026-03-16`,
    `recs backfill --from 2026-03-14 --to 2026-03-16 --rebuild`
    """
    from infra.night import AssetDone, run_backfill
    from infra.night_view import asset_line, asset_text

    if first > last:
        raise InputError(f"--from {first:%Y-%m-%d} lies after --to {last:%Y-%m-%d}: exchange them")
    settings = _settings(data_dir)
    if not (Path(settings.lake_uri) / "silver").exists() and "://" not in settings.lake_uri:
        raise InputError(f"{settings.lake_uri} holds no silver tables: run a night there first, or name another folder")
    lines: list[dict[str, Any]] = []
    with progress(quiet=as_json) as bars:
        task = bars.add_task(f"features of {first:%Y-%m-%d} to {last:%Y-%m-%d}", total=None)

        def tell(done: AssetDone) -> None:
            lines.append(asset_line(done))
            bars.update(task, total=done.total, completed=done.done)
            if not as_json:
                console.print(asset_text(done))

        run_backfill(settings, first.date(), last.date(), rebuild=rebuild, on_asset=tell)
    if as_json:
        show_json({"assets": lines})


def _settings(data_dir: Path | None) -> Settings:
    """Sources are not read; the lake is."""
    settings = settings_of(data_dir=data_dir)
    return settings if settings.tecd else settings.model_copy(update={"tecd": settings.lake_uri})
