"""Takes a backup: tables and files into the vault, the manifest last."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dagster_project.lake_lock import lake_lock
from data_contracts.errors import BusyError
from data_contracts.settings import Settings
from infra.backup.files import Places, keep_files
from infra.backup.manifest import Backup
from infra.backup.tables import KEPT, keep_table
from infra.backup.vault import Vault
from infra.stack import clickhouse
from sql.client import Address, Store, connected
from sql.migrate import migrate, steps
from sql.pointer import current, moves

# The current snapshot and the one to roll back to.
_SERVED = 2


def back_up(settings: Settings, vault: Vault) -> Backup:
    """Raises BusyError while a night runs on this lake, UnavailableError without ClickHouse or the vault."""
    with lake_lock(settings.lake_uri), clickhouse(settings) as wired:
        started = datetime.now(UTC)
        backup_id = f"{started:%Y%m%dT%H%M%SZ}"
        ids = vault.ids()
        if backup_id in ids:
            raise BusyError(f"{vault.uri} has a backup {backup_id}, of this second: try again")
        before = vault.backup(ids[-1]).files if ids else ()
        migrate(Address.of(wired))
        with connected(Address.of(wired)) as store:
            served = _served(store)
            tables = tuple(keep_table(vault, store, table) for table in KEPT)
        backup = Backup(
            backup_id=backup_id,
            started_at=started,
            finished_at=datetime.now(UTC),
            lake=settings.lake_uri,
            steps=tuple(steps()),
            served=served,
            files=keep_files(vault, Places.of(settings), served, before),
            tables=tables,
        )
        vault.finish(backup)
        return backup


def _served(store: Store) -> Sequence[str]:
    """What was served last, the current snapshot at the end."""
    now = current(store)
    others = [move.snapshot_id for move in moves(store) if move.snapshot_id != now]
    return tuple(dict.fromkeys([*others[-_SERVED + 1 :], *([now] if now else [])]))
