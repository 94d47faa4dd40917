"""The commands on what is served: list, publish, roll back, block."""

from typing import Annotated

import typer

from infra.console import console, progress, show
from infra.options import AsJson, DataDir, settings_of


def snapshots(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the snapshots in ClickHouse, their gate and which one is served.

    Example: `recs snapshots --json`
    """
    from infra.publishing import snapshot_rows

    show(snapshot_rows(settings_of(data_dir=data_dir)), as_json=as_json, title="snapshots")


def publish(
    snapshot_id: Annotated[str, typer.Argument(help="Such as 2026-03-15.1")],
    why: Annotated[str, typer.Option(help="Kept with the move.")] = "",
    override: Annotated[
        str | None, typer.Option(help="Ask to publish what the gate stopped, and why. Somebody else must approve.")
    ] = None,
    approve_override: Annotated[
        bool, typer.Option("--approve-override", help="Approve what somebody else asked for, and publish.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a snapshot current; loads and verifies it first when ClickHouse does not have it.

    What the gate stopped needs two people, both kept with their reason; policy violations nobody overrides.

    Examples: `recs publish 2026-03-15.1 --why "approved by risk"`,
    `recs publish 2026-03-15.1 --override "new catalogue, churn is wanted"`,
    `recs publish 2026-03-15.1 --approve-override`
    """
    from infra import publishing

    settings = settings_of(data_dir=data_dir)
    if override is not None:
        failed = publishing.ask_override(settings, snapshot_id, reason=override)
        console.print(f"asked to override {', '.join(failed)}: now somebody else runs")
        console.print(f"recs publish {snapshot_id} --approve-override")
        return
    with progress() as bars:
        bars.add_task(f"publishing {snapshot_id}", total=None)
        if approve_override:
            publishing.approve_override(settings, snapshot_id)
        else:
            publishing.publish_one(settings, snapshot_id, why=why)
    console.print(f"{snapshot_id} is current")


def rollback(
    to: Annotated[str | None, typer.Option(help="A snapshot id. [default: what was served before]")] = None,
    why: Annotated[str, typer.Option(help="Kept with the move.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Go back to the snapshot that was served before. Blocks and rules stay as they are.

    Example: `recs rollback --why "odd lists for segment 3"`
    """
    from infra.publishing import roll_back

    console.print(f"{roll_back(settings_of(data_dir=data_dir), to=to, why=why)} is current")


def block(
    item: Annotated[str, typer.Argument(help="Product or offer id.")],
    why: Annotated[str, typer.Option(help="Kept with the block.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Stop showing an item, at once, everywhere, whatever the snapshot.

    Example: `recs block loan_refinance --why "compliance 481"`
    """
    from infra.publishing import set_block

    set_block(settings_of(data_dir=data_dir), item, blocked=True, why=why)
    console.print(f"{item} is blocked")


def unblock(
    item: Annotated[str, typer.Argument(help="Product or offer id.")],
    why: Annotated[str, typer.Option(help="Kept with the move.")] = "",
    data_dir: DataDir = None,
) -> None:
    """End a block.

    Example: `recs unblock loan_refinance`
    """
    from infra.publishing import set_block

    set_block(settings_of(data_dir=data_dir), item, blocked=False, why=why)
    console.print(f"{item} may be shown again")
