"""The command `recs suppress`: a file of who must no longer be addressed."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from data_contracts.errors import InputError
from infra.console import console, show_json
from infra.options import AsJson, DataDir, actor, settings_of


def suppress(
    file: Annotated[Path, typer.Option(help="CSV: user_id, kind, and optionally channel, product_id, family, ...")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Stop addressing users: good rows hold at once, bad ones go to a file beside it, each with its line and reason.

    Columns: user_id, kind (complaint, opt_out, erasure_request, other), channel (mobile, web, crm, all), product_id,
    family, reason, until (ISO 8601 with its zone). Exit code 2 where a row was refused.

    Example: `recs suppress --file complaints.csv`
    """
    from infra.publishing import opened
    from sql.suppressions import Order, suppress_file

    order = Order(actor=actor(), at=datetime.now(UTC))
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines, opened(settings_of(data_dir=data_dir)) as store:
            _, read = suppress_file(store, lines, order)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from error
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    refused = file.with_name(f"{file.stem}.refused.csv")
    if as_json:
        show_json({"accepted": len(read.taken), "refused": [vars(one) for one in read.refused]})
    else:
        console.print(f"{len(read.taken)} rows accepted, {len(read.refused)} refused")
    if read.refused:
        with refused.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([("line", "reason"), *((one.line, one.reason) for one in read.refused)])
        raise InputError(f"{len(read.refused)} rows were refused: see {refused}")
