"""Overrides of the publish gate: one person asks and says why, another approves. Both steps are kept for good.

A step speaks of a snapshot's content (the checksum of its lists): what is made anew under the same number is asked for
anew. What the gate marks as not overridable, policy above all, nobody overrides.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from data_contracts.errors import GateError, InputError
from data_contracts.gate import gate_rules
from data_contracts.manifest import Manifest
from sql.client import Store

# An override that nobody approved by then has to be asked for again.
VALID = timedelta(hours=24)


class Step(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"


@dataclass(frozen=True)
class OverrideStep:
    at: datetime
    step: Step
    actor: str
    reason: str


def ask(store: Store, manifest: Manifest, *, actor: str, reason: str) -> None:
    """Raises InputError without a reason or a failed gate, GateError naming what cannot be overridden."""
    if not reason.strip():
        raise InputError("an override needs a reason")
    _refuse_the_unoverridable(manifest)
    _put(store, manifest, Step.ASKED, actor=actor, reason=reason)


def approve(store: Store, manifest: Manifest, *, actor: str, now: datetime) -> OverrideStep:
    """The request that is thereby approved. Raises InputError where nobody else asked for it within `VALID`."""
    _refuse_the_unoverridable(manifest)
    asked = [step for step in steps(store, manifest) if step.step is Step.ASKED and now - step.at <= VALID]
    if not asked:
        raise InputError(
            f"nobody asked to override the gate of {manifest.snapshot_id} within {VALID}: ask for it first"
        )
    others = [step for step in asked if step.actor != actor]
    if not others:
        raise InputError(f"{actor} asked for this override: somebody else has to approve it")
    _put(store, manifest, Step.APPROVED, actor=actor, reason=others[-1].reason)
    return others[-1]


def steps(store: Store, manifest: Manifest) -> tuple[OverrideStep, ...]:
    """Oldest first."""
    content = manifest.tables["lists"].checksum
    rows = store.rows("gate_overrides_v1/of_snapshot", snapshot_id=manifest.snapshot_id, lists_checksum=content)
    return tuple(OverrideStep(at, Step(step), actor, reason) for at, step, actor, reason in rows)


def is_approved(store: Store, manifest: Manifest) -> bool:
    """Not of what cannot be overridden: other faults may have been found in the same lists since."""
    return not _unoverridable(manifest) and any(step.step is Step.APPROVED for step in steps(store, manifest))


def _refuse_the_unoverridable(manifest: Manifest) -> None:
    if manifest.gate.passed:
        raise InputError(f"snapshot {manifest.snapshot_id} passed its gate: publish it as it is")
    if never := _unoverridable(manifest):
        raise GateError(f"snapshot {manifest.snapshot_id} stays unpublished: {', '.join(never)} cannot be overridden")


def _unoverridable(manifest: Manifest) -> list[str]:
    """Failed checks that nobody overrides: those marked so, and those that the rules know no longer."""
    known = gate_rules()
    names = [check.name for check in manifest.gate.failures]
    return [name for name in names if name not in known or not known[name].overridable]


def _put(store: Store, manifest: Manifest, step: Step, *, actor: str, reason: str) -> None:
    failed = [check.name for check in manifest.gate.failures]
    store.run(
        "gate_overrides_v1/put",
        snapshot_id=manifest.snapshot_id,
        lists_checksum=manifest.tables["lists"].checksum,
        step=step.value,
        actor=actor,
        reason=reason,
        failed_checks=failed,
    )
