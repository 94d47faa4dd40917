"""The way into ClickHouse past the publish gate: only what passed it, or what two people have let pass, is verified."""

from datetime import datetime

from data_contracts.manifest import OVERRIDE_FILE, Manifest, Override
from sql import pointer
from sql.client import Store
from sql.load import load
from sql.overrides import approve, require_approved
from sql.sources import write_document
from sql.verify import verify


def load_verified(store: Store, *, snapshot_uri: str) -> Manifest:
    """Bring a snapshot in, checked against its manifest.

    Raises InputError, and GateError for one that failed its gate unless two people have overridden all that failed.
    """
    manifest = load(store, snapshot_uri=snapshot_uri)
    require_approved(store, manifest)
    verify(store, manifest)
    return manifest


def publish_overridden(store: Store, manifest: Manifest, *, snapshot_uri: str, actor: str, now: datetime) -> None:
    """Approve what somebody else asked for, load and publish, and leave word beside the manifest: the next nights are
    held against this one in what was let pass. Raises as `overrides.approve` does.
    """
    asked = approve(store, manifest, actor=actor, now=now)
    published = load_verified(store, snapshot_uri=snapshot_uri)
    why = f"gate overridden: {asked.reason} (asked by {asked.actor}, approved by {actor})"
    pointer.publish(store, manifest.snapshot_id, actor=actor, why=why)
    override = Override(
        snapshot_id=published.snapshot_id,
        lists_checksum=published.tables["lists"].checksum,
        checks=tuple(check.name for check in published.gate.failures),
        asked_by=asked.actor,
        approved_by=actor,
        reason=asked.reason,
        at=now,
    )
    write_document(f"{snapshot_uri}/{OVERRIDE_FILE}", override.model_dump_json(indent=1).encode())
