"""A gate that stopped a snapshot is overridden by two people, never by one, and never where policy was violated."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.errors import GateError, InputError
from data_contracts.manifest import (
    MANIFEST_FILE,
    OVERRIDE_FILE,
    Erasure,
    GateCheck,
    GateVerdict,
    Manifest,
    Override,
)
from sql.client import Store
from sql.gated import load_verified, publish_overridden
from sql.overrides import Step, approve, ask, require_approved, steps
from sql.pointer import current
from sql.states import State, state_of
from tests.sql.snapshots import write_snapshot

A = "2026-03-11.1"


def stopped(folder: Path, *checks: str) -> tuple[Path, Manifest]:
    """A snapshot folder whose gate failed these checks."""
    return folder / A, sealed(folder / A, write_snapshot(folder / A, snapshot_id=A), *checks)


def sealed(folder: Path, manifest: Manifest, *checks: str) -> Manifest:
    """The same tables, of which these checks fail now."""
    failed = tuple(GateCheck(name=name, passed=False, value=0.1, limit=0.3) for name in checks)
    manifest = manifest.model_copy(update={"gate": GateVerdict.of(failed)})
    (folder / MANIFEST_FILE).write_text(manifest.to_json())
    return manifest


def test_two_people_publish_what_the_gate_stopped_and_both_are_kept(store: Store, tmp_path: Path) -> None:
    folder, manifest = stopped(tmp_path, "product_overlap")
    with pytest.raises(GateError, match="product_overlap"):
        load_verified(store, snapshot_uri=str(folder))
    ask(store, manifest, actor="anna", reason="new catalogue: churn is wanted")
    with pytest.raises(GateError):
        load_verified(store, snapshot_uri=str(folder))
    assert approve(store, manifest, actor="boris", now=datetime.now(UTC)).actor == "anna"
    load_verified(store, snapshot_uri=str(folder))
    assert state_of(store, A) is State.VERIFIED
    assert [(step.step, step.actor, step.reason) for step in steps(store, manifest)] == [
        (Step.ASKED, "anna", "new catalogue: churn is wanted"),
        (Step.APPROVED, "boris", "new catalogue: churn is wanted"),
    ]


def test_publishing_what_was_stopped_leaves_word_of_what_was_let_pass_beside_the_manifest(
    store: Store, tmp_path: Path
) -> None:
    folder, manifest = stopped(tmp_path, "product_overlap", "features_drifted")
    ask(store, manifest, actor="anna", reason="new catalogue")
    now = datetime.now(UTC)
    publish_overridden(store, manifest, snapshot_uri=str(folder), actor="boris", now=now)
    assert current(store) == A
    left = Override.model_validate_json((folder / OVERRIDE_FILE).read_text())
    assert (left.asked_by, left.approved_by, left.reason) == ("anna", "boris", "new catalogue")
    assert left.let_pass(manifest) == {"product_overlap", "features_drifted"}
    assert left.let_pass(sealed(folder, manifest, "product_overlap")) == {"product_overlap"}
    assert left.let_pass(sealed(folder, manifest, "product_overlap", "policy")) == frozenset()
    other = {**manifest.tables, "lists": manifest.tables["lists"].model_copy(update={"checksum": "0" * 16})}
    assert left.let_pass(manifest.model_copy(update={"tables": other})) == frozenset()
    erasure = Erasure(receipt="ab", at=now + timedelta(days=1))
    assert left.let_pass(manifest.model_copy(update={"tables": other, "erasures": (erasure,)}))


def test_nobody_approves_what_they_asked_for_or_what_nobody_asked_for(store: Store, tmp_path: Path) -> None:
    _, manifest = stopped(tmp_path, "product_overlap")
    now = datetime.now(UTC)
    with pytest.raises(InputError, match="nobody asked"):
        approve(store, manifest, actor="boris", now=now)
    ask(store, manifest, actor="anna", reason="wanted")
    with pytest.raises(InputError, match="somebody else"):
        approve(store, manifest, actor="anna", now=now)
    with pytest.raises(InputError, match="nobody asked"):
        approve(store, manifest, actor="boris", now=now + timedelta(hours=25))
    with pytest.raises(GateError, match=r"stays unpublished$"):
        require_approved(store, manifest)


def test_a_snapshot_made_anew_is_asked_for_anew(store: Store, tmp_path: Path) -> None:
    _, manifest = stopped(tmp_path, "product_overlap")
    ask(store, manifest, actor="anna", reason="wanted")
    approve(store, manifest, actor="boris", now=datetime.now(UTC))
    other = manifest.tables["lists"].model_copy(update={"checksum": "0" * 16})
    require_approved(store, manifest)
    with pytest.raises(GateError, match=r"stays unpublished$"):
        require_approved(store, manifest.model_copy(update={"tables": {**manifest.tables, "lists": other}}))


def test_an_approval_does_not_cover_a_violation_found_later_in_the_same_lists(store: Store, tmp_path: Path) -> None:
    folder, manifest = stopped(tmp_path, "product_overlap")
    ask(store, manifest, actor="anna", reason="wanted")
    approve(store, manifest, actor="boris", now=datetime.now(UTC))
    worse = manifest.model_copy(update={"gate": GateVerdict.of([GateCheck(name="policy", passed=False, value=1.0)])})
    (folder / MANIFEST_FILE).write_text(worse.to_json())
    with pytest.raises(GateError, match="policy"):
        load_verified(store, snapshot_uri=str(folder))


def test_an_approval_covers_what_failed_then_or_less_and_nothing_that_fails_since(store: Store, tmp_path: Path) -> None:
    folder, manifest = stopped(tmp_path, "product_overlap", "coverage")
    ask(store, manifest, actor="anna", reason="wanted")
    approve(store, manifest, actor="boris", now=datetime.now(UTC))
    sealed(folder, manifest, "coverage")
    load_verified(store, snapshot_uri=str(folder))
    again = sealed(folder, manifest, "coverage", "offer_overlap")
    with pytest.raises(GateError, match="offer_overlap did not fail yet when boris approved: ask again"):
        load_verified(store, snapshot_uri=str(folder))
    ask(store, again, actor="anna", reason="wanted all the same")
    approve(store, again, actor="boris", now=datetime.now(UTC))
    load_verified(store, snapshot_uri=str(folder))


def test_nobody_approves_more_failures_than_were_asked_for(store: Store, tmp_path: Path) -> None:
    folder, manifest = stopped(tmp_path, "product_overlap")
    ask(store, manifest, actor="anna", reason="wanted")
    more = sealed(folder, manifest, "product_overlap", "coverage")
    with pytest.raises(InputError, match=r"coverage did not fail yet when anna asked .*: ask for it again"):
        approve(store, more, actor="boris", now=datetime.now(UTC))
    ask(store, more, actor="boris", reason="wanted all the same")
    with pytest.raises(InputError, match="somebody else"):  # anna asked, but for less
        approve(store, more, actor="boris", now=datetime.now(UTC))
    assert approve(store, more, actor="anna", now=datetime.now(UTC)).reason == "wanted all the same"


@pytest.mark.parametrize("check", ["policy", "known_items", "a rule of another version"])
def test_nobody_overrides_the_policy(store: Store, tmp_path: Path, check: str) -> None:
    _, manifest = stopped(tmp_path, "product_overlap", check)
    with pytest.raises(GateError, match=f"{check} cannot be overridden"):
        ask(store, manifest, actor="anna", reason="please")


def test_an_override_needs_a_reason_and_a_failed_gate(store: Store, tmp_path: Path) -> None:
    _, manifest = stopped(tmp_path, "product_overlap")
    with pytest.raises(InputError, match="reason"):
        ask(store, manifest, actor="anna", reason=" ")
    with pytest.raises(InputError, match="passed its gate"):
        ask(store, manifest.model_copy(update={"gate": GateVerdict.of(())}), actor="anna", reason="please")
