"""The commands about people: `recs erase`, and `recs identity rotate` for the keys that hash who they are."""

from dataclasses import asdict
from typing import Annotated

import typer

from data_contracts.errors import GateError, InputError
from infra.console import console, progress, show, show_json
from infra.options import AsJson, DataDir, settings_of

identity = typer.Typer(no_args_is_help=True, help="Keys that hash who people are.")

_LARGEST_ID = 2**63 - 1


def erase(
    user: Annotated[str, typer.Option(help="The internal id of the person.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    events: Annotated[str | None, typer.Option(help="URI of the landed events. [default: RECS_EVENTS]")] = None,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Also from Kafka: topics with the person are emptied of what has landed.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove a person from the lake with its history, snapshots, landed events and ClickHouse, and print a receipt.

    Kafka cannot delete one message: --kafka empties a topic, for all its readers, of everything that has landed.

    Examples: `recs erase --user 1042`, `recs erase --user 1042 --kafka --yes --json > receipt.json`
    """
    from infra.erasing import erase_everywhere

    user_id = _user_id(user)
    if not yes and not typer.confirm("Erase this person from every store? This cannot be undone", err=True):
        raise typer.Exit(1)
    with progress(quiet=as_json) as bars:
        bars.add_task("erasing", total=None)
        receipt = erase_everywhere(settings_of(data_dir=data_dir, events=events), user_id, with_kafka=kafka)
    if as_json:
        show_json({**asdict(receipt), "complete": receipt.is_complete})
    else:
        title = f"receipt {receipt.person[:16]} of {receipt.erased_at:%Y-%m-%d %H:%M} UTC"
        show([asdict(line) for line in receipt.lines], as_json=False, title=title)
    if not receipt.is_complete:
        left = ", ".join(line.store for line in receipt.lines if line.left)
        raise GateError(
            f"the person is still in {left}: land what waits in Kafka, mend what holds them, and run recs erase again"
        )


@identity.command()
def rotate(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """After a new key was added to the end of RECS_IDENTITY_KEY: hash again what is kept. No id changes.

    Example: `RECS_IDENTITY_KEY=old,new recs identity rotate`
    """
    from infra.erasing import rotate_keys

    with progress(quiet=as_json) as bars:
        bars.add_task("hashing again", total=None)
        rewritten = rotate_keys(settings_of(data_dir=data_dir))
    if as_json:
        show_json(rewritten)
        return
    for table, rows in rewritten.items():
        console.print(f"{table}: {rows} rows hashed with the newest key")


def _user_id(text: str) -> int:
    """Raises InputError, which does not repeat the text: it may be a person's."""
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST_ID:
        raise InputError("--user takes the internal id of a person: a whole number up to 2^63 - 1")
    return int(text)
