"""A snapshot's folder as read: its tables as Parquet, its manifest, and the snapshot before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from data_contracts.checksums import parquet_batches
from data_contracts.columns import VARIANT
from data_contracts.errors import InputError
from data_contracts.manifest import MANIFEST_FILE, OVERRIDE_FILE, Manifest, Override
from data_contracts.night import parse_snapshot_id
from data_contracts.vocabulary import Variant
from spark_jobs.lake.files import file_system, read_bytes


def snapshot_uris(lake: str) -> tuple[str, ...]:
    """The folders of all snapshots, finished or not."""
    system, root = file_system(f"{lake}/snapshots")
    infos = system.get_file_info(fs.FileSelector(root, allow_not_found=True))
    return tuple(sorted(f"{lake}/snapshots/{one.base_name}" for one in infos if one.type == fs.FileType.Directory))


def manifest_of(snapshot: str) -> Manifest | None:
    """None for a snapshot that was never finished. Raises InputError for a broken one."""
    where = f"{snapshot}/{MANIFEST_FILE}"
    try:
        return Manifest.from_json(read_bytes(where), where=where)
    except FileNotFoundError:
        return None


def snapshot_batches(snapshot: str, table: str) -> Iterator[pa.RecordBatch]:
    """In any order. Raises InputError where the folder has no such table."""
    return parquet_batches(_files(snapshot, table), table=table)


def snapshot_rows(snapshot: str, table: str) -> int:
    """How many it has. Raises InputError where the folder has no such table."""
    return sum(file.metadata.num_rows for file in _files(snapshot, table))


def personal_lists(snapshot: str) -> Iterator[pa.RecordBatch]:
    """Those of the snapshot's lists that are everybody's, without the variants that experiments and outbound need."""
    for batch in snapshot_batches(snapshot, "lists"):
        yield of_variant(batch, Variant.PERSONAL)


def of_variant(lists: pa.RecordBatch, variant: str) -> pa.RecordBatch:
    return lists.filter(pc.equal(lists.column(VARIANT), variant))


def snapshot_table(snapshot: str, table: str) -> pa.Table:
    """Whole. Raises InputError where the folder has no such table."""
    return pa.concat_tables([file.read() for file in _files(snapshot, table)])


def snapshot_before(lake: str, as_of: date, *checks: str) -> str | None:
    """The URI of the newest snapshot of an earlier date that passed its gate; None where there is none.

    Of `checks` it may be one that failed one of them, where two people let that pass: what they wanted is the measure.
    """
    for uri, manifest in _sealed_before(lake, as_of):
        if manifest.gate.passed or checks_let_pass(uri, manifest) & {*checks}:
            return uri
    return None


@dataclass(frozen=True)
class LetPass:
    """A snapshot that its gate stopped and two people published, and what had failed."""

    uri: str
    manifest: Manifest
    checks: frozenset[str]

    @property
    def as_of(self) -> date:
        return self.manifest.as_of


def let_pass(lake: str, as_of: date) -> tuple[LetPass, ...]:
    """Those of earlier dates, newest first."""
    found = (LetPass(uri, one, checks_let_pass(uri, one)) for uri, one in _sealed_before(lake, as_of))
    return tuple(one for one in found if one.checks)


def stopped_nights(lake: str, as_of: date) -> frozenset[date]:
    """Earlier as-ofs whose newest snapshot failed its gate, whatever was let pass."""
    newest: dict[date, bool] = {}
    for _, manifest in _sealed_before(lake, as_of):
        newest.setdefault(manifest.as_of, manifest.gate.passed)
    return frozenset(night for night, has_passed in newest.items() if not has_passed)


def checks_let_pass(snapshot: str, manifest: Manifest) -> frozenset[str]:
    """What the snapshot failed and two people published it with; nothing where they did not."""
    if manifest.gate.passed:
        return frozenset()
    try:
        return Override.model_validate_json(read_bytes(f"{snapshot}/{OVERRIDE_FILE}")).let_pass(manifest)
    except FileNotFoundError:
        return frozenset()


def _sealed_before(lake: str, as_of: date) -> Iterator[tuple[str, Manifest]]:
    """Of earlier dates, the newest attempt of the newest date first."""
    found = {_snapshot_id(uri): uri for uri in snapshot_uris(lake)}
    for number in sorted((one for one in found if one is not None and one[0] < as_of), reverse=True):
        manifest = manifest_of(found[number])
        if manifest is not None:
            yield found[number], manifest


def _snapshot_id(uri: str) -> tuple[date, int] | None:
    """As-of date and attempt; None where the folder's name is not a snapshot's."""
    try:
        return parse_snapshot_id(uri.rpartition("/")[2])
    except InputError:
        return None


def _files(snapshot: str, table: str) -> Iterator[pq.ParquetFile]:
    system, folder = file_system(f"{snapshot}/{table}")
    infos = system.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    paths = sorted(info.path for info in infos if info.path.endswith(".parquet"))
    if not paths:
        raise InputError(f"{snapshot} is not a finished snapshot: {table}/ holds no Parquet; run scoring first")
    for path in paths:
        yield pq.ParquetFile(system.open_input_file(path))
