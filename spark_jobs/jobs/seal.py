"""Job `seal`: reads the finished snapshot folder, asks the gate, and writes the manifest last.

Needs no Spark. A snapshot that fails the gate gets its manifest too, with the verdict, and the job reports by what it
is stopped: whoever runs it fails then, and whoever publishes refuses a manifest whose gate has not passed.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from data_contracts.catalogue import Catalogue, Reasons, Rules
from data_contracts.checksums import SNAPSHOT_COLUMNS, counts_of
from data_contracts.columns import ITEM_CODE, ITEM_ID
from data_contracts.errors import InputError
from data_contracts.gate import asked
from data_contracts.manifest import MANIFEST_FILE, GateCheck, GateVerdict, Manifest, TableCounts, Versions
from data_contracts.models import RANKERS, NightModels
from data_contracts.night import NightParams
from data_contracts.policy import compile_policy
from data_contracts.quality import NightQuality
from data_contracts.tables import Severity, contract, table_names
from spark_jobs.jobs.runner import JobReport, TableReport, main_without_spark
from spark_jobs.lake.files import file_exists, read_bytes, write_bytes
from spark_jobs.lake.model_documents import documents_of_snapshot, model_documents
from spark_jobs.lake.plain import written_of_night
from spark_jobs.lake.snapshot_files import snapshot_batches, snapshot_before, snapshot_table
from spark_jobs.lake.validation import Verdict
from spark_jobs.lake.versions import delta_versions
from spark_jobs.lifecycle.files import night_models
from spark_jobs.lifecycle.first_scores import keep_first_scores
from spark_jobs.monitoring.feature_drift import DRIFT, DRIFT_COLUMNS, YESTERDAY, faults
from spark_jobs.monitoring.label_drift import SINCE_YESTERDAY, Documents, LabelDrift, family_drifts, label_drifts
from spark_jobs.monitoring.model_scores import PSI_LINE, NightScores, drift_by_kind, drift_by_product
from spark_jobs.monitoring.source_rows import SOURCE_ROWS, tonights_rows
from spark_jobs.monitoring.yesterday import CHANGES, changes_since, sampled
from spark_jobs.scoring.gate import SnapshotTables, judge
from spark_jobs.scoring.snapshot import CATALOGUE, FALLBACK_LISTS, ITEMS, LISTS, REASONS, RULES, USER_STATE

# An AUC of fewer says nothing.
_FEWEST_POSITIVES = 100
_NAMES_TOLD = 5


def run(params: NightParams) -> JobReport:
    """Raises InputError for an incomplete folder."""
    snapshot = params.snapshot_uri
    catalogue = Catalogue.model_validate_json(_document(snapshot, CATALOGUE))
    rules = Rules.model_validate_json(_document(snapshot, RULES))
    reasons = Reasons.model_validate_json(_document(snapshot, REASONS))
    tables = {table: counts_of(snapshot_batches(snapshot, table), table=table) for table in SNAPSHOT_COLUMNS}
    documents = model_documents(params.models_uri)
    before = snapshot_before(params.lake, params.as_of, *SINCE_YESTERDAY)
    checks = (
        *_of_sources(params),
        *_of_itself(params, catalogue, rules),
        *_of_change(params, tables[USER_STATE].rows),
        *_since_training(snapshot),
        *_of_features(params),
        *of_newest_cases(documents, documents_of_snapshot(params.lake, before)),
    )
    verdict = GateVerdict.of(checks)
    manifest = Manifest(
        snapshot_id=params.snapshot_id,
        as_of=params.as_of,
        cut_off=params.cut_off,
        created_at=datetime.now(UTC),
        tables=tables,
        versions=_versions(
            params, documents, catalogue=catalogue.version, rules=rules.version, reasons=reasons.version
        ),
        gate=verdict,
    )
    write_bytes(f"{snapshot}/{MANIFEST_FILE}", manifest.to_json().encode())
    if verdict.passed:
        keep_first_scores(params)
    return _report(tables, manifest)


def _of_itself(params: NightParams, catalogue: Catalogue, rules: Rules) -> tuple[GateCheck, ...]:
    snapshot = params.snapshot_uri
    items = snapshot_table(snapshot, ITEMS)
    stopped = np.isin(items.column(ITEM_ID).to_numpy(zero_copy_only=False), np.array(rules.blocked_items, object))
    return judge(
        SnapshotTables(
            lists=snapshot_batches(snapshot, LISTS),
            user_state=snapshot_table(snapshot, USER_STATE),
            fallback_lists=snapshot_table(snapshot, FALLBACK_LISTS),
            items=items.num_rows,
        ),
        catalogue=catalogue,
        policy=compile_policy(catalogue, rules, today=params.as_of),
        blocked_offers=items.column(ITEM_CODE).to_numpy()[stopped].astype(np.int64),
    ).checks


def _of_sources(params: NightParams) -> Iterator[GateCheck]:
    """Nothing is asked where no source has delivered often enough to tell what is usual."""
    found = sorted(tonights_rows(params), key=lambda one: one.share)
    if found:
        told = ", ".join(f"{one.source} {one.rows} on {one.day} ({one.usual:g})" for one in found[:_NAMES_TOLD])
        yield asked(SOURCE_ROWS, found[0].share, f"least share of its usual rows that a source delivered: {told}")


def _of_change(params: NightParams, users: int) -> Iterator[GateCheck]:
    """Since the last good snapshot of an earlier date; nothing is asked where there is none."""
    for check, change in changes_since(
        params.lake, params.as_of, sampled(params.snapshot_uri, users=users), users=users
    ).items():
        since = f"{change.users} users of both this snapshot and {change.since}"
        kind = CHANGES[check]
        if check.endswith("overlap"):
            yield asked(check, change.overlap, f"mean rank-biased overlap of the {kind}s of {since}")
        else:
            yield asked(check, change.drift, f"population stability index of the best {kind}'s score, {since}")


def _since_training(snapshot: str) -> Iterator[GateCheck]:
    """Nothing is asked of the first night of a model."""
    scores = NightScores.read(snapshot)
    if scores is None:
        return
    for kind, moved in drift_by_kind(scores).items():
        told = (
            f"population stability index of the best {kind}'s score since {moved.then_as_of}, the model's first night"
        )
        yield asked(f"{kind}_scores_since_training", moved.psi, f"{told}; KS {moved.ks:.4f}")
    products = drift_by_product(scores)
    if products:
        moved_far = sorted(
            (name for name, one in products.items() if one.psi > PSI_LINE), key=lambda name: -products[name].psi
        )
        names = _named(moved_far)
        since = scores.then["product"].as_of
        told = f"share of {len(products)} products whose scores moved beyond {PSI_LINE} since {since}: {names}"
        yield asked("products_rescored", len(moved_far) / len(products), told)


def _of_features(params: NightParams) -> Iterator[GateCheck]:
    beside = written_of_night(params.lake, DRIFT, ("then_as_of", *DRIFT_COLUMNS), params.as_of)
    nights = sorted({row["then_as_of"] for row in beside if row["against"] == YESTERDAY})
    since = " and ".join(night.isoformat() for night in nights)
    for name, found in faults(beside).items():
        yield asked(name, len(found), f"features since {since}: {_named(found)}")


def _named(found: Sequence[str]) -> str:
    names = ", ".join(found[:_NAMES_TOLD]) or "none"
    return f"{names} and more" if len(found) > _NAMES_TOLD else names


def of_newest_cases(documents: Documents, then: Documents) -> Iterator[GateCheck]:
    """How well the night's rankers tell them apart, and how often they happen. documents, then: beside the models of
    tonight and of the last good night. Nothing is asked of a ranker of which nothing is known.
    """
    yield from _of_quality(NightQuality.of(documents))
    yield from _of_labels(documents, then)


def _of_quality(quality: NightQuality) -> Iterator[GateCheck]:
    for name, kind in (("product_auc", "products"), ("offer_auc", "offers")):
        found = quality.rankers.get(kind)
        if found is not None and found.auc is not None and found.positives >= _FEWEST_POSITIVES:
            told = (
                f"AUC of the ranker of {kind}, {found.model}, on cases whose labels end on {found.end:%Y-%m-%d}, "
                f"{found.positives} of {found.cases} happened"
            )
            yield asked(name, found.auc.value, told)


def _of_labels(documents: Documents, then: Documents) -> Iterator[GateCheck]:
    for kind in RANKERS:
        name = kind.removesuffix("s")
        for drift in label_drifts(kind, documents, then):
            told = f"times that the share of newest cases of {kind} that happened rose or fell: {_shares(drift)}"
            yield asked(f"{name}_labels_since_{drift.against}", drift.times, told)
    worst = max(family_drifts("products", documents, then), key=lambda drift: drift.times, default=None)
    if worst is not None:
        told = f"as all together, of the family that moved most, {worst.family}: {_shares(worst)}"
        yield asked("product_family_labels_since_yesterday", worst.times, told)


def _shares(drift: LabelDrift) -> str:
    return f"{drift.share:.3%} now, {drift.share_then:.3%} in {drift.against}; PSI {drift.psi:.4f}, KS {drift.ks:.4f}"


def _versions(params: NightParams, documents: Documents, *, catalogue: str, rules: str, reasons: str) -> Versions:
    scored = night_models(params)
    return Versions(
        inputs=delta_versions(params.lake, [name for name in table_names() if not name.startswith("bronze.")]),
        models=_model_digests(documents),
        registered=_registered(scored) if scored else {},
        catalogue=catalogue,
        rules=rules,
        reasons=reasons,
        contracts={name: contract(name).version for name in table_names()},
    )


def _registered(scored: NightModels) -> dict[str, str]:
    challengers = {f"challenger of {name}": model for name, model in scored.tried.items()}
    return {name: model.told for name, model in sorted({**scored.used, **challengers}.items())}


def _model_digests(documents: Documents) -> dict[str, str]:
    """SHA-256 a model file, by its path in the night's model folder."""
    files = {
        f"{path.rpartition('/')[0]}/{name}": digest
        for path, document in documents.items()
        for name, digest in document.get("sha256", {}).items()
    }
    return dict(sorted(files.items()))


def _document(snapshot: str, name: str) -> bytes:
    if not file_exists(f"{snapshot}/{name}"):
        raise InputError(f"{snapshot} is not a finished snapshot: it has no {name}; run scoring first")
    return read_bytes(f"{snapshot}/{name}")


def _report(tables: dict[str, TableCounts], manifest: Manifest) -> JobReport:
    verdict = manifest.gate
    checks = {check.name: check.value for check in verdict.checks}
    rows = {table: counts.rows for table, counts in tables.items()}
    content = hashlib.sha256("".join(counts.checksum for counts in tables.values()).encode()).hexdigest()
    details: dict[str, Any] = {"tables": rows, "gate": checks}
    if not verdict.passed:
        failed = "; ".join(f"{check.name} {check.value:g} ({check.why})" for check in verdict.failures)
        details["stopped"] = f"snapshot {manifest.snapshot_id} failed its gate: {failed}"
    verdicts = tuple(_verdict(check) for check in verdict.checks)
    made = TableReport(rows=len(tables), fingerprint=content, details=details, checks=verdicts)
    return JobReport(tables={"manifest": made})


def _verdict(check: GateCheck) -> Verdict:
    found = f"{check.value:g}, limit {check.limit:g}"
    return Verdict(check.name, check.passed, Severity.ERROR.value, description=check.why, found=found)


if __name__ == "__main__":
    main_without_spark(run)
