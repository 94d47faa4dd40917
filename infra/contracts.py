"""`recs contracts`: what every table promises, what changed about it, and the page that shows it to everybody."""

from pathlib import Path
from typing import Annotated

import typer

from data_contracts.tables import all_contracts
from data_contracts.tables import contract as contract_of
from infra.console import console, show, show_json
from infra.options import AsJson

app = typer.Typer(
    invoke_without_command=True, no_args_is_help=False, help="What every table promises.", rich_markup_mode="markdown"
)


@app.callback()
def contracts(
    context: typer.Context,
    html: Annotated[
        Path | None, typer.Option(help="Write the catalogue page there: one file, readable offline.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the contracts of all tables, or write them as a page.

    Examples: `recs contracts`, `recs contracts --html contracts.html`, `recs contracts show silver.interactions`
    """
    from infra.contracts_page import contract_rows, page

    if context.invoked_subcommand is not None:
        return
    every = all_contracts().values()
    if html is not None:
        html.write_text(page(every), encoding="utf-8")
        console.print(f"{len(every)} contracts in {html}")
        return
    show(contract_rows(every), as_json=as_json, title="contracts")


@app.command("show")
def show_one(
    table: Annotated[str, typer.Argument(help="Such as silver.interactions.")], as_json: AsJson = False
) -> None:
    """Show one contract: its columns, and the checks made from it.

    Example: `recs contracts show silver.interactions`
    """
    from infra.contracts_page import column_rows, sentences

    promised = contract_of(table)
    if as_json:
        show_json(promised.model_dump(mode="json"))
        return
    for line in sentences(promised):
        console.print(line)
    show(column_rows(promised), as_json=False, title="columns")


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A contract file, a folder of them, or a git revision.")],
    new: Annotated[str, typer.Argument(help="The same. [default: the contracts as they are here]")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what changed from OLD to NEW and whether it is compatible; exit code 1 when something is not.

    Examples: `recs contracts diff main`, `recs contracts diff v1.2 HEAD`,
    `recs contracts diff old/silver.people.yaml data_contracts/tables/silver.people.yaml`
    """
    from data_contracts.table_diff import diff_all
    from infra.contract_places import contracts_at

    changes = diff_all(contracts_at(old), contracts_at(new) if new else all_contracts())
    rows = [
        {"table": one.table, "verdict": "compatible" if one.compatible else "incompatible", "change": one.what}
        for one in changes
    ]
    show(rows, as_json=as_json, title="changes from OLD to NEW")
    if not all(change.compatible for change in changes):
        raise typer.Exit(1)


@app.command()
def release(
    drop: Annotated[list[str] | None, typer.Option(help="A table that no longer exists.")] = None,
) -> None:
    """Record the contracts as released: from now on a change that breaks them needs a new major version.

    Example: `recs contracts release`
    """
    from data_contracts.releases import RELEASED
    from data_contracts.releases import release as record

    changes = record(all_contracts(), dropped=drop or ())
    console.print(f"{len(changes)} changes since the last release, recorded in {RELEASED}")
