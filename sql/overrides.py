"""Overrides of the publish gate: one person asks and says why, another approves. Both steps are kept for good.

A step speaks of a snapshot's content (the checksum of its lists) and of the checks that had failed then: what is made
anew under the same number is asked for anew, and so is a failure that was not known then. What the gate marks as not
overridable, policy above all, nobody overrides.
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
    """failed: names of the checks that had failed when it was taken."""

    at: datetime
    step: Step
    actor: str
    reason: str
    failed: frozenset[str]


def ask(store: Store, manifest: Manifest, *, actor: str, reason: str) -> None:
    """Raises InputError without a reason or a failed gate, GateError naming what cannot be overridden."""
    if not reason.strip():
        raise InputError("an override needs a reason")
    _refuse_the_unoverridable(manifest)
    _put(store, manifest, Step.ASKED, actor=actor, reason=reason)


def approve(store: Store, manifest: Manifest, *, actor: str, now: datetime) -> OverrideStep:
    """The request that is thereby approved. Raises InputError where within `VALID` nobody else asked for it, or nobody
    who knew of all that fails now.
    """
    _refuse_the_unoverridable(manifest)
    asked = [step for step in steps(store, manifest) if step.step is Step.ASKED and now - step.at <= VALID]
    if not asked:
        raise InputError(
            f"nobody asked to override the gate of {manifest.snapshot_id} within {VALID}: ask for it first"
        )
    knowing = [step for step in asked if not _unseen(step, manifest)]
    if not knowing:
        unseen = ", ".join(_unseen(asked[-1], manifest))
        raise InputError(
            f"{unseen} did not fail yet when {asked[-1].actor} asked to override the gate of {manifest.snapshot_id}: "
            "ask for it again"
        )
    others = [step for step in knowing if step.actor != actor]
    if not others:
        raise InputError(f"{actor} asked for this override: somebody else has to approve it")
    _put(store, manifest, Step.APPROVED, actor=actor, reason=others[-1].reason)
    return others[-1]


def steps(store: Store, manifest: Manifest) -> tuple[OverrideStep, ...]:
    """Oldest first."""
    content = manifest.tables["lists"].checksum
    rows = store.rows("gate_overrides_v1/of_snapshot", snapshot_id=manifest.snapshot_id, lists_checksum=content)
    return tuple(
        OverrideStep(at, Step(step), actor, reason, frozenset(failed)) for at, step, actor, reason, failed in rows
    )


def require_approved(store: Store, manifest: Manifest) -> None:
    """Raises GateError for a failed gate, unless two people have let pass all that fails now: other faults may have
    been found in the same lists since.
    """
    if manifest.gate.passed:
        return
    approved = [step for step in steps(store, manifest) if step.step is Step.APPROVED]
    if not _unoverridable(manifest) and any(not _unseen(step, manifest) for step in approved):
        return
    failed = ", ".join(check.name for check in manifest.gate.failures)
    stays = f"snapshot {manifest.snapshot_id} failed its gate ({failed}): it stays unpublished"
    if approved and (unseen := _unseen(approved[-1], manifest)):
        stays += f"; {', '.join(unseen)} did not fail yet when {approved[-1].actor} approved: ask again"
    raise GateError(stays)


def _unseen(step: OverrideStep, manifest: Manifest) -> list[str]:
    """What fails now and had not failed when the step was taken."""
    return [check.name for check in manifest.gate.failures if check.name not in step.failed]


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
