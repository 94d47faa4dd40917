"""`recs campaigns`: what the bank means to say to whom, and who was chosen. See data_contracts/campaigns."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from data_contracts.campaigns import Campaign, Known, campaigns_in
from data_contracts.errors import InputError
from data_contracts.night import parse_snapshot_id
from data_contracts.settings import Settings
from infra.console import console, progress, show, show_json
from infra.options import AsJson, DataDir, settings_of

app = typer.Typer(no_args_is_help=True, help="Campaigns: which there are, and who is assigned to them.")

Folder = Annotated[Path | None, typer.Option("--campaigns", help="Folder of YAML files. [default: RECS_CAMPAIGNS]")]
Name = Annotated[str, typer.Argument(help="Name of the campaign.")]


@app.command("list")
def list_(campaigns: Folder = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the campaigns and whether they run; one that contradicts itself or the catalogue is refused with its line.

    Example: `recs campaigns list`
    """
    settings = settings_of(campaigns=campaigns, data_dir=data_dir)
    show([_row(one, settings) for one in _all(settings)], as_json=as_json, title="campaigns")


@app.command("show")
def show_one(name: Name, campaigns: Folder = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show everything that is said of a campaign.

    Example: `recs campaigns show spring_deposits`
    """
    found = {one.name: one for one in _all(settings_of(campaigns=campaigns, data_dir=data_dir))}
    if name not in found:
        raise InputError(f"no campaign {name}; there are: {', '.join(found) or 'none'}")
    said = found[name].model_dump(mode="json")
    if as_json:
        show_json(said)
        return
    show([{"field": field, "value": value} for field, value in said.items()], as_json=False)


@app.command()
def assign(
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Day of the contacts.")],
    contacts: Annotated[int, typer.Option(min=1, max=100, help="Most contacts a user and channel in the window.")] = 1,
    window_days: Annotated[int, typer.Option(min=1, help="Days that the window reaches back, the day included.")] = 7,
    replace: Annotated[bool, typer.Option("--replace", help="Also where the day is assigned otherwise.")] = False,
    campaigns: Folder = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Assign the users of the snapshot that is served to the day's campaigns, into {lake}/campaigns/DATE/SNAPSHOT.

    One allocation over all campaigns: budgets, priorities, contacts, exclusions. Doing it again changes nothing.

    Example: `recs campaigns assign --date 2026-03-16`
    """
    from infra.campaign_day import counts_rows, day_of, summary
    from spark_jobs.campaigns.day import assign_day

    settings = settings_of(campaigns=campaigns, data_dir=data_dir)
    with progress(quiet=as_json) as bars:
        bars.add_task(f"assigning {day.date()}", total=None)
        asked = day_of(settings, day.date(), contacts=contacts, window_days=window_days)
        told = assign_day(asked, replace=replace)
    if as_json:
        show_json(told.model_dump(mode="json"))
        return
    show(counts_rows(told), as_json=False, title=f"campaigns of {told.day}, by snapshot {told.snapshot_id}")
    for line in (*summary(told), asked.folder):
        console.print(line, soft_wrap=True)


def _all(settings: Settings) -> tuple[Campaign, ...]:
    return tuple(campaigns_in(settings.campaigns, known=_known(settings)))


def _known(settings: Settings) -> Known | None:
    """What the newest sealed snapshot knows; None before the first."""
    from spark_jobs.campaigns.snapshot import known_by
    from spark_jobs.lake.snapshot_files import manifest_of, snapshot_uris

    sealed = [uri for uri in snapshot_uris(settings.lake_uri) if manifest_of(uri) is not None]
    return known_by(max(sealed, key=lambda uri: parse_snapshot_id(uri.rpartition("/")[2]))) if sealed else None


def _row(one: Campaign, settings: Settings) -> dict[str, Any]:
    today = datetime.now(ZoneInfo(settings.timezone)).date()
    state = "runs" if one.runs_on(today) else "is over" if today >= one.end else "to come"
    return {
        "name": one.name,
        "state": state if one.enabled else "off",
        "about": one.product or ", ".join(sorted(one.families or ())),
        "channel": one.channel.value,
        "days": f"{one.start} to {one.end}",
        "budget": one.budget,
        "priority": one.priority,
    }
