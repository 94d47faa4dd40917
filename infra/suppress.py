"""The command `recs suppress`: who must no longer be addressed, by file; how that is taken back; and what holds."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from data_contracts.errors import InputError
from data_contracts.settings import Settings
from infra.console import console, show, show_json
from infra.options import AsJson, DataDir, actor, settings_of


def suppress(
    file: Annotated[
        Path | None, typer.Option(help="CSV: user_id, kind, and optionally channel, product_id, family, ...")
    ] = None,
    lift: Annotated[str | None, typer.Option(help="Take back what was suppressed under this id; needs --why.")] = None,
    user: Annotated[
        list[int] | None, typer.Option(help="With --lift: only of this user, may be given again. Alone: show theirs.")
    ] = None,
    why: Annotated[str, typer.Option(help="Why it is taken back; kept with it.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Stop addressing users, or take that back; or show what was suppressed of users, and what holds.

    Of a file good rows hold at once, bad ones go to a file beside it, each as it was, after its line and
    why: mended, that is a file to give again. Columns: user_id, kind (complaint, opt_out, erasure_request, other),
    channel (mobile, web, crm, all), product_id, family, reason, until (ISO 8601 with its zone). Exit code 2 where a row
    was refused. Nothing lifts an erasure.

    Examples: `recs suppress --file complaints.csv`, `recs suppress --user 1042`,
    `recs suppress --lift 6f1c0a4b2d7e49f38a5b9c0d1e2f3a4b --user 1042 --why "call 512: a mix-up"`
    """
    if (file is None) == (lift is None and not user) or (file is not None and user):
        raise InputError("give --file, or --lift with --why, or --user alone")
    settings = settings_of(data_dir=data_dir)
    if file is not None:
        _take(settings, file, as_json=as_json)
    elif lift is not None:
        _lift(settings, lift, tuple(user or ()), why, as_json=as_json)
    else:
        show([row for one in user or () for row in _rows(settings, one)], as_json=as_json, title="suppressions")


def _take(settings: Settings, file: Path, *, as_json: bool) -> None:
    from infra.publishing import opened
    from sql.suppressions import Order, suppress_file

    order = Order(actor=actor(), at=datetime.now(UTC))
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines, opened(settings) as store:
            suppression_id, read = suppress_file(store, lines, order)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from error
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    refused = file.with_name(f"{file.stem}.refused.csv")
    if as_json:
        told = [vars(one) for one in read.refused]
        show_json({"id": suppression_id, "accepted": len(read.taken), "refused": told})
    else:
        under = f" under {suppression_id}" if suppression_id else ""
        console.print(f"{len(read.taken)} rows accepted{under}, {len(read.refused)} refused", soft_wrap=True)
    if read.refused:
        refused.write_text(read.refused_csv(), encoding="utf-8", newline="")
        raise InputError(f"{len(read.refused)} rows were refused: mend {refused}, and give that")


def _lift(settings: Settings, suppression_id: str, users: tuple[int, ...], why: str, *, as_json: bool) -> None:
    from infra.publishing import opened
    from sql.lifts import Wish, lift
    from sql.suppressions import Order

    if not why.strip():
        raise InputError("--why: what takes a suppression back needs a reason")
    with opened(settings) as store:
        order = Order(actor=actor(), at=datetime.now(UTC))
        done = lift(store, Wish(suppression_id, why, order, users))
    if as_json:
        show_json({"id": done.lift_id, "lifted": done.lifted, "lifted_before": done.before})
    else:
        console.print(f"{done.lifted} lifted, {done.before} had been before")


def _rows(settings: Settings, user_id: int) -> list[dict[str, Any]]:
    from infra.publishing import opened
    from sql.lifts import suppressions_of

    with opened(settings) as store:
        found = suppressions_of(store, user_id)
    now = datetime.now(UTC)
    return [
        {
            "user": user_id,
            "id": one.suppression_id,
            "accepted": one.accepted_at.strftime("%Y-%m-%d %H:%M:%S"),
            "kind": one.kind,
            "channel": one.channel,
            "about": one.product_id or one.family or "everything",
            "by": one.actor,
            "why": one.reason,
            "holds": "yes" if one.is_in_force(now) else "no",
            "lifted": f"{one.lift.at:%Y-%m-%d %H:%M:%S} by {one.lift.actor}: {one.lift.reason}" if one.lift else "",
        }
        for one in found
    ]
