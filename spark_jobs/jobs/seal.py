"""Job `seal`: reads the finished snapshot folder, asks the gate, and writes the manifest last.

Needs no Spark. A snapshot that fails the gate gets its manifest too, with the verdict, and the job ends with GateError;
whoever publishes refuses a manifest whose gate has not passed.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from data_contracts.catalogue import Catalogue, Reasons, Rules
from data_contracts.checksums import SNAPSHOT_COLUMNS, counts_of, parquet_batches
from data_contracts.columns import ITEM_CODE, ITEM_ID
from data_contracts.errors import GateError, InputError
from data_contracts.manifest import MANIFEST_FILE, GateVerdict, Manifest, TableCounts, Versions
from data_contracts.night import NightParams
from data_contracts.policy import compile_policy
from data_contracts.tables import contract, table_names
from spark_jobs.jobs.runner import JobReport, TableReport, main_without_spark
from spark_jobs.lake.files import file_exists, file_system, read_bytes, write_bytes
from spark_jobs.lake.versions import delta_versions
from spark_jobs.scoring.gate import SnapshotTables, judge
from spark_jobs.scoring.snapshot import CATALOGUE, FALLBACK_LISTS, ITEMS, LISTS, REASONS, RULES, USER_STATE


def run(params: NightParams) -> JobReport:
    """Raises InputError for an incomplete folder, GateError naming the checks that failed."""
    snapshot = params.snapshot_uri
    catalogue = Catalogue.model_validate_json(_document(snapshot, CATALOGUE))
    rules = Rules.model_validate_json(_document(snapshot, RULES))
    reasons = Reasons.model_validate_json(_document(snapshot, REASONS))
    tables = {table: counts_of(_batches(snapshot, table), table=table) for table in SNAPSHOT_COLUMNS}
    verdict = _verdict(params, catalogue, rules)
    manifest = Manifest(
        snapshot_id=params.snapshot_id,
        as_of=params.as_of,
        cut_off=params.cut_off,
        created_at=datetime.now(UTC),
        tables=tables,
        versions=_versions(params, catalogue=catalogue.version, rules=rules.version, reasons=reasons.version),
        gate=verdict,
    )
    write_bytes(f"{snapshot}/{MANIFEST_FILE}", manifest.to_json().encode())
    if not verdict.passed:
        failed = "; ".join(f"{check.name} {check.value:g} ({check.why})" for check in verdict.failures)
        raise GateError(f"snapshot {params.snapshot_id} failed its gate: {failed}")
    return _report(tables, verdict)


def _verdict(params: NightParams, catalogue: Catalogue, rules: Rules) -> GateVerdict:
    snapshot = params.snapshot_uri
    items = _table(snapshot, ITEMS)
    stopped = np.isin(items.column(ITEM_ID).to_numpy(zero_copy_only=False), np.array(rules.blocked_items, object))
    return judge(
        SnapshotTables(
            lists=_batches(snapshot, LISTS),
            user_state=_table(snapshot, USER_STATE),
            fallback_lists=_table(snapshot, FALLBACK_LISTS),
            items=items.num_rows,
        ),
        catalogue=catalogue,
        policy=compile_policy(catalogue, rules, today=params.as_of),
        blocked_offers=items.column(ITEM_CODE).to_numpy()[stopped].astype(np.int64),
    )


def _versions(params: NightParams, *, catalogue: str, rules: str, reasons: str) -> Versions:
    return Versions(
        inputs=delta_versions(params.lake, [name for name in table_names() if not name.startswith("bronze.")]),
        models=_model_digests(params.models_uri),
        catalogue=catalogue,
        rules=rules,
        reasons=reasons,
        contracts={name: contract(name).version for name in table_names()},
    )


def _model_digests(folder: str) -> dict[str, str]:
    """SHA-256 a model file, by its path in the night's model folder, from the documents beside the models."""
    system, path = file_system(folder)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True))
    digests: dict[str, str] = {}
    for info in found:
        if info.path.endswith(".json"):
            kind = info.path.removeprefix(path).strip("/").rpartition("/")[0]
            files = json.loads(read_bytes(f"{folder}/{kind}/{info.base_name}")).get("sha256", {})
            digests |= {f"{kind}/{name}": digest for name, digest in files.items()}
    return dict(sorted(digests.items()))


def _document(snapshot: str, name: str) -> bytes:
    if not file_exists(f"{snapshot}/{name}"):
        raise InputError(f"{snapshot} is not a finished snapshot: it has no {name}; run scoring first")
    return read_bytes(f"{snapshot}/{name}")


def _files(snapshot: str, table: str) -> Iterator[pq.ParquetFile]:
    system, folder = file_system(f"{snapshot}/{table}")
    infos = system.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    paths = sorted(info.path for info in infos if info.path.endswith(".parquet"))
    if not paths:
        raise InputError(f"{snapshot} is not a finished snapshot: {table}/ holds no Parquet; run scoring first")
    for path in paths:
        yield pq.ParquetFile(system.open_input_file(path))


def _batches(snapshot: str, table: str) -> Iterator[pa.RecordBatch]:
    return parquet_batches(_files(snapshot, table), table=table)


def _table(snapshot: str, table: str) -> pa.Table:
    return pa.concat_tables([file.read() for file in _files(snapshot, table)])


def _report(tables: dict[str, TableCounts], verdict: GateVerdict) -> JobReport:
    checks = {check.name: check.value for check in verdict.checks}
    rows = {table: counts.rows for table, counts in tables.items()}
    content = hashlib.sha256("".join(counts.checksum for counts in tables.values()).encode()).hexdigest()
    details = {"tables": rows, "gate": checks}
    return JobReport(tables={"manifest": TableReport(rows=len(tables), fingerprint=content, details=details)})


if __name__ == "__main__":
    main_without_spark(run)
