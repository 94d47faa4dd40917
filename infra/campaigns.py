"""`recs campaigns`: what the bank means to say to whom, who agreed to that, and who was chosen."""

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

app = typer.Typer(no_args_is_help=True, help="Campaigns: which there are, who agreed to them, who is assigned.")

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

    One allocation over all campaigns: budgets, priorities, contacts, exclusions. Doing it again changes nothing. From
    then on nobody is to contact the control groups about it: with --replace those of this assignment alone.

    Example: `recs campaigns assign --date 2026-03-16`
    """
    from infra.campaign_day import counts_rows, day_of, hold_controls_out, summary
    from spark_jobs.campaigns.day import assign_day

    settings = settings_of(campaigns=campaigns, data_dir=data_dir)
    with progress(quiet=as_json) as bars:
        bars.add_task(f"assigning {day.date()}", total=None)
        asked = day_of(settings, day.date(), contacts=contacts, window_days=window_days)
        told = assign_day(asked, replace=replace)
        hold_controls_out(settings, told, asked.folder)
    if as_json:
        show_json(told.model_dump(mode="json"))
        return
    show(counts_rows(told), as_json=False, title=f"campaigns of {told.day}, by snapshot {told.snapshot_id}")
    for line in (*summary(told), asked.folder):
        console.print(line, soft_wrap=True)


def _all(settings: Settings) -> tuple[Campaign, ...]:
    from infra.proposals import approved

    return tuple(campaigns_in(settings.campaigns, known=_known(settings), approved=approved(settings)))


@app.command("proposals")
def proposals_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List campaigns that were proposed, and what became of them: who, when and why.

    Example: `recs campaigns proposals`
    """
    from infra.proposals import proposal_rows

    show(proposal_rows(settings_of(data_dir=data_dir)), as_json=as_json, title="proposals")


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="YAML, as in the folder of campaigns.")],
    why: Annotated[str, typer.Option(help="Kept with it, and shown to who approves.")],
    campaigns: Folder = None,
    data_dir: DataDir = None,
) -> None:
    """Propose a campaign, new or in place of one of the same name; it holds when somebody else has approved it.

    What only turns one off (`enabled: false`) holds at once.

    Example: `recs campaigns propose autumn.yaml --why "budget doubled, ticket 77"`
    """
    settings = settings_of(campaigns=campaigns, data_dir=data_dir)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from error
    from infra.proposals import propose as put

    console.print(put(settings, text, why=why, known=_known(settings)), soft_wrap=True)


@app.command()
def approve(
    proposal_id: Annotated[str, typer.Argument(help="As `recs campaigns proposals` lists it.")],
    campaigns: Folder = None,
    data_dir: DataDir = None,
) -> None:
    """Approve a campaign that somebody else proposed: the next assignment goes by it.

    Example: `recs campaigns approve 6f1c0a4b2d7e49f38a5b9c0d1e2f3a4b`
    """
    settings = settings_of(campaigns=campaigns, data_dir=data_dir)
    from infra.proposals import approve as agree

    console.print(agree(settings, proposal_id, known=_known(settings)))


@app.command()
def refuse(
    proposal_id: Annotated[str, typer.Argument(help="As `recs campaigns proposals` lists it.")],
    why: Annotated[str, typer.Option(help="Kept with it.")],
    data_dir: DataDir = None,
) -> None:
    """Refuse a campaign that was proposed, or take an own proposal back.

    Example: `recs campaigns refuse 6f1c0a4b2d7e49f38a5b9c0d1e2f3a4b --why "too close to travel_card"`
    """
    from infra.proposals import refuse as decline

    console.print(decline(settings_of(data_dir=data_dir), proposal_id, why=why))


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
