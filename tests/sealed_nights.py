"""Nights that the gate stopped, and the word that is left where two people published one of them nevertheless."""

from datetime import timedelta

from data_contracts.manifest import (
    MANIFEST_FILE,
    OVERRIDE_FILE,
    GateCheck,
    GateVerdict,
    Manifest,
    Override,
    TableCounts,
)
from data_contracts.night import NightParams
from spark_jobs.lake.files import read_bytes, write_bytes


def seal_stopped(params: NightParams, *checks: str) -> None:
    """A manifest whose gate failed these checks, or none of them."""
    manifest = Manifest(
        snapshot_id=params.snapshot_id,
        as_of=params.as_of,
        cut_off=params.cut_off,
        created_at=params.cut_off,
        tables={"lists": TableCounts(rows=0, checksum="0" * 16)},
        gate=GateVerdict.of(GateCheck(name=name, passed=False, value=0.1, limit=0.3) for name in checks),
    )
    write_bytes(f"{params.snapshot_uri}/{MANIFEST_FILE}", manifest.to_json().encode())


def publish_stopped(params: NightParams) -> None:
    """As publishing leaves it beside the manifest."""
    manifest = Manifest.from_json(read_bytes(f"{params.snapshot_uri}/{MANIFEST_FILE}"))
    override = Override(
        snapshot_id=manifest.snapshot_id,
        lists_checksum=manifest.tables["lists"].checksum,
        checks=tuple(check.name for check in manifest.gate.failures),
        asked_by="anna",
        approved_by="boris",
        reason="it is wanted",
        at=params.cut_off + timedelta(hours=9),
    )
    write_bytes(f"{params.snapshot_uri}/{OVERRIDE_FILE}", override.model_dump_json().encode())
