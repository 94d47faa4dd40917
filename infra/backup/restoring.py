"""Puts a backup back: files, tables, the served snapshots loaded and verified, and the pointer last.

Safe to run again: what was killed half-way is simply restored again, and nothing is served before it is whole.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from confluent_kafka import TopicPartition

from dagster_project.lake_lock import lake_lock
from data_contracts.errors import InputError
from data_contracts.events import TOPICS
from data_contracts.settings import Settings
from infra.backup.files import SNAPSHOTS, Places, newer_files, put_back
from infra.backup.manifest import Backup
from infra.backup.tables import POINTER, clear_table, newer_rows, put_back_table
from infra.backup.vault import Vault
from infra.stack import clickhouse
from spark_jobs.landing.clients import consumer, translated
from sql.client import Address, Store, connected
from sql.gated import load_verified
from sql.migrate import migrate, steps
from sql.states import State, put_state, snapshot_states

# What was committed before a backup began lies in the lake by then, but for a flush that was being moved into place.
_MARGIN = timedelta(hours=1)


def check(vault: Vault, backup: Backup) -> None:
    """Read every object. Raises InputError naming the first that is missing or not what was kept."""
    for content in backup.contents.values():
        for _ in vault.read(content):
            pass


def restore(settings: Settings, vault: Vault, backup: Backup, *, overwrite_newer: bool = False) -> None:
    """Raises InputError, with nothing changed, for a backup that lacks objects or a target that holds newer data.

    BusyError while a night runs on the lake; GateError when ClickHouse holds something else than a manifest says.
    """
    absent = [content.sha256 for content in backup.contents.values() if not vault.has(content)]
    if absent:
        raise InputError(
            f"backup {backup.backup_id} lacks {len(absent)} objects, such as {absent[0]}: take another one"
        )
    if unknown := [step for step in backup.steps if step not in steps()]:
        raise InputError(f"backup {backup.backup_id} is of a newer release (sql/{unknown[0]}.sql): restore with that")
    places = Places.of(settings)
    with lake_lock(settings.lake_uri), clickhouse(settings) as wired:
        migrate(Address.of(wired))
        with connected(Address.of(wired)) as store:
            if not overwrite_newer:
                _refuse_newer(places, store, backup)
            # Until it is back, and it comes last, nothing is served rather than what is not there.
            clear_table(store, POINTER)
            put_back(vault, places, backup.files, backup.served)
            tables = {table.name: table for table in reversed(backup.tables)}
            pointer = tables.pop(POINTER)
            for table in tables.values():
                put_back_table(vault, store, table)
            _load(store, settings.lake_uri, backup.served)
            put_back_table(vault, store, pointer)


def _refuse_newer(places: Places, store: Store, backup: Backup) -> None:
    since = int(backup.started_at.timestamp() * 1e9)
    newer = [
        *newer_rows(store, backup.tables),
        *newer_files(places, backup.files, backup.served, since=since),
    ]
    if newer:
        more = f" and {len(newer) - 3} more" if len(newer) > 3 else ""
        raise InputError(
            f"the target holds what is newer than backup {backup.backup_id}: {', '.join(newer[:3])}{more}; back it up "
            "first, or give --overwrite-newer to lose it"
        )


def _load(store: Store, lake: str, served: Sequence[str]) -> None:
    """What the backup says was in ClickHouse, is not, but for those whose folders are here."""
    for state in snapshot_states(store):
        if state.state is not State.DROPPED and state.snapshot_id not in served:
            put_state(store, state.manifest, State.DROPPED)
    for snapshot_id in served:
        load_verified(store, snapshot_uri=f"{lake}/{SNAPSHOTS}/{snapshot_id}")


def rewind(settings: Settings, backup: Backup) -> dict[str, int]:
    """Let both groups read again what came since the backup; what they had is neither landed nor stored twice.

    Messages to be read again, at most, by group. Raises UnavailableError, also while instances of the group run.
    """
    since = int((backup.started_at - _MARGIN).timestamp() * 1000)
    return {group: _rewound(settings, group, since) for group in (settings.kafka_group, settings.overlay_group)}


def _rewound(settings: Settings, group: str, since: int) -> int:
    with translated(settings):
        client = consumer(settings, group=group)
        try:
            there = client.list_topics(timeout=30).topics
            every = [TopicPartition(name, number, since) for name in TOPICS for number in there[name].partitions]
            ends = partial(client.get_watermark_offsets, timeout=30)
            found = client.offsets_for_times(every, timeout=30)
            starts = [
                one if one.offset >= 0 else TopicPartition(one.topic, one.partition, ends(one)[1]) for one in found
            ]
            client.commit(offsets=starts, asynchronous=False)
            return sum(ends(one)[1] - one.offset for one in starts)
        finally:
            client.close()
