"""Snapshots with the gate's verdict on each: those of ClickHouse, and those that the gate left in the lake."""

from collections.abc import Iterator
from dataclasses import dataclass

from api.lake import document, names_in
from api.operator_models import Check, Step, Verdict
from data_contracts.errors import InputError
from data_contracts.gate import gate_rules
from data_contracts.manifest import MANIFEST_FILE, Manifest
from data_contracts.night import parse_snapshot_id
from sql.client import Store
from sql.overrides import steps
from sql.states import snapshot_states

ABSENT = "absent"


@dataclass(frozen=True)
class _Known:
    manifest: Manifest
    state: str


def snapshot_uri(lake: str, snapshot_id: str) -> str:
    return f"{lake}/snapshots/{snapshot_id}"


def manifest_in(lake: str, snapshot_id: str) -> Manifest | None:
    """None where the lake has no such snapshot, or only half of one. Raises InputError for a broken one."""
    where = f"{snapshot_uri(lake, snapshot_id)}/{MANIFEST_FILE}"
    text = document(where)
    return None if text is None else Manifest.from_json(text, where=where)


def verdicts(store: Store, lake: str, *, current: str, most: int) -> list[Verdict]:
    """The newest, newest first. One whose manifest cannot be read is left out."""
    return [_verdict(store, known, current=current) for known in _newest(store, lake, most=most)]


def _newest(store: Store, lake: str, *, most: int) -> Iterator[_Known]:
    held = {one.snapshot_id: _Known(one.manifest, one.state.value) for one in snapshot_states(store)}
    ids = sorted({*held, *filter(_is_id, names_in(f"{lake}/snapshots"))}, key=parse_snapshot_id, reverse=True)
    for snapshot_id in ids[:most]:
        known = held.get(snapshot_id) or _in_lake(lake, snapshot_id)
        if known is not None:
            yield known


def _in_lake(lake: str, snapshot_id: str) -> _Known | None:
    try:
        manifest = manifest_in(lake, snapshot_id)
    except InputError:
        return None
    return None if manifest is None else _Known(manifest, ABSENT)


def _is_id(name: str) -> bool:
    try:
        parse_snapshot_id(name)
    except InputError:
        return False
    return True


def _verdict(store: Store, known: _Known, *, current: str) -> Verdict:
    manifest, rules = known.manifest, gate_rules()
    checks = [
        Check(**check.model_dump(), overridable=check.name in rules and rules[check.name].overridable)
        for check in manifest.gate.checks
    ]
    taken = () if manifest.gate.passed else steps(store, manifest)
    return Verdict(
        snapshot_id=manifest.snapshot_id,
        as_of=manifest.as_of,
        made_at=manifest.created_at,
        state=known.state,
        is_current=manifest.snapshot_id == current,
        passed=manifest.gate.passed,
        checks=sorted(checks, key=lambda check: check.passed),
        overrides=[Step(at=one.at, step=one.step.value, actor=one.actor, reason=one.reason) for one in taken],
        tables=manifest.tables,
    )
