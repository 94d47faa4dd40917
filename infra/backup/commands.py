"""The commands `recs backup` and `recs restore`."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from data_contracts.errors import InputError
from infra.console import console as screen
from infra.console import show_json
from infra.options import AsJson, DataDir, settings_of

Place = Annotated[str | None, typer.Option(help="Folder or s3://bucket/folder. [default: RECS_BACKUPS]")]


def backup(
    to: Place = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Drop all but so many backups afterwards.")] = None,
    keep_days: Annotated[
        int, typer.Option(min=0, help="With --keep: beside them stays the last backup of each of so many days.")
    ] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Back up what cannot be rebuilt: events, feedback, exposures, decisions, identities, models, served snapshots.

    Only what no backup there has is copied; without its manifest, which is written last, a backup is none. While a
    night runs on this lake it is refused (exit 4).

    Examples: `recs backup`, `recs backup --to s3://bank-backups/recs --keep 48 --keep-days 35`
    """
    from infra.backup.backing import back_up
    from infra.backup.vault import Vault

    settings, started = settings_of(data_dir=data_dir, backups=to), time.monotonic()
    vault = Vault(settings.backups_uri)
    made = back_up(settings, vault)
    dropped = vault.forget(keep=keep, days=keep_days, now=datetime.now(UTC)) if keep else ()
    told = {
        "backup": made.backup_id,
        "place": vault.uri,
        "files": len(made.files),
        "rows": sum(table.rows for table in made.tables),
        "snapshots": list(made.served),
        "bytes": made.size,
        "seconds": round(time.monotonic() - started, 1),
        "dropped": list(dropped),
    }
    if as_json:
        show_json(told)
        return
    screen.print(
        f"backup {told['backup']} in {vault.uri}: {told['files']:,} files, {told['rows']:,} rows, {made.size:,} bytes "
        f"in {told['seconds']} s"
    )


def restore(
    backup_id: Annotated[str | None, typer.Argument(help="Which. [default: the newest]")] = None,
    place: Annotated[str | None, typer.Option("--from", help="Where it is. [default: RECS_BACKUPS]")] = None,
    check_only: Annotated[bool, typer.Option("--check", help="Only read it, to its last byte.")] = False,
    overwrite_newer: Annotated[
        bool, typer.Option("--overwrite-newer", help="Lose what the target holds that is newer.")
    ] = False,
    rewind_kafka: Annotated[
        bool,
        typer.Option("--rewind-kafka", help="Let `recs land` and `recs overlay` read again what came since."),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup back, load and verify the snapshots that were served, and move the pointer last.

    Killed half-way it is simply run again. Stop `recs land`, `recs overlay` and the API before.

    Examples: `recs restore`, `recs restore 20260316T020000Z --from s3://bank-backups/recs --rewind-kafka`,
    `recs restore --check`
    """
    from infra.backup import restoring
    from infra.backup.vault import Vault

    settings, started = settings_of(data_dir=data_dir, backups=place), time.monotonic()
    vault = Vault(settings.backups_uri)
    ids = vault.ids()
    if backup_id is None and not ids:
        raise InputError(f"no backup in {vault.uri}: take one with recs backup, or name the place with --from")
    chosen = vault.backup(backup_id or ids[-1])
    again = {}
    if check_only:
        restoring.check(vault, chosen)
    else:
        restoring.restore(settings, vault, chosen, overwrite_newer=overwrite_newer)
        again = restoring.rewind(settings, chosen) if rewind_kafka else {}
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        show_json({"backup": chosen.backup_id, "checked": check_only, "read_again": again, "seconds": seconds})
        return
    done = "is whole" if check_only else f"is back, {(chosen.served or ('no snapshot',))[-1]} is served"
    screen.print(f"backup {chosen.backup_id} of {chosen.started_at:%Y-%m-%d %H:%M} UTC {done} ({seconds} s)")
    for group, messages in again.items():
        screen.print(f"{group} reads at most {messages:,} messages again")
