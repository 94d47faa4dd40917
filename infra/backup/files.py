"""The files of a backup: which of the lake and the data folder, out of them and back into them."""

import contextlib
import hashlib
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyarrow import fs

from data_contracts.settings import Settings
from infra.backup.manifest import Content, File
from infra.backup.vault import Vault, blocks
from spark_jobs.lake.files import file_system

# Below the lake. Who was shown what, who people are, what was decided about them, and what was learnt of them.
KEPT = ("landing", "quarantine/landing", "identity", "models", "mlflow", "campaigns", "reports/erasures")
SNAPSHOTS = "snapshots"
# The owner of an attempt: its number is never given again.
_OWNER = "run.json"
# Below the data folder: what MLflow keeps in files, where it is not a server's.
_REGISTRY, _ARTIFACTS = "mlflow.db", "mlflow"
_THREADS = 8


@dataclass(frozen=True)
class Places:
    """Where the files of an installation lie."""

    lake: str
    data: str
    has_registry: bool

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        """The registry is ours to keep where it is the file in the data folder."""
        return cls(settings.lake_uri, str(settings.data_dir.absolute()), has_registry=settings.mlflow_url is None)

    def uri(self, place: Literal["lake", "data"]) -> str:
        return self.lake if place == "lake" else self.data


@dataclass(frozen=True)
class Found:
    """A file that is there; `modified` in nanoseconds since 1970."""

    place: Literal["lake", "data"]
    path: str
    size: int
    modified: int


def found_files(places: Places, served: Sequence[str]) -> Iterator[Found]:
    """All that a backup keeps of files, with the whole folders of the snapshots `served`; the registry's file apart."""
    for folder in KEPT:
        yield from _below(places, "lake", folder)
    for one in _below(places, "lake", SNAPSHOTS):
        snapshot_id, _, rest = one.path.removeprefix(f"{SNAPSHOTS}/").partition("/")
        if snapshot_id in served or rest == _OWNER:
            yield one
    if places.has_registry:
        yield from _below(places, "data", _ARTIFACTS)


def _below(places: Places, place: Literal["lake", "data"], folder: str) -> Iterator[Found]:
    """Staged events are left out: who comes after reads them again from Kafka."""
    system, base = file_system(places.uri(place))
    selector = fs.FileSelector(f"{base}/{folder}", recursive=True, allow_not_found=True)
    for info in sorted(system.get_file_info(selector), key=lambda info: str(info.path)):
        path = str(info.path).removeprefix(f"{base}/")
        if info.type == fs.FileType.File and not path.startswith("landing/.staging/"):
            yield Found(place, path, int(info.size), int(info.mtime_ns or 0))


def keep_files(vault: Vault, places: Places, served: Sequence[str], before: Sequence[File]) -> tuple[File, ...]:
    """Into the vault; what a backup before has and nobody touched since is not read again.

    A file that is gone before it is read belonged to something that ended meanwhile, and is left out.
    """
    known = {(one.place, one.path, one.content.size, one.modified): one for one in before if one.modified}

    def keep(found: Found) -> File | None:
        same = known.get((found.place, found.path, found.size, found.modified))
        if same is not None and vault.has(same.content):
            return same
        system, base = file_system(places.uri(found.place))
        with contextlib.suppress(FileNotFoundError), system.open_input_stream(f"{base}/{found.path}") as stream:
            return File(place=found.place, path=found.path, modified=found.modified, content=vault.put(blocks(stream)))
        return None

    with ThreadPoolExecutor(_THREADS) as pool:
        files = [one for one in pool.map(keep, found_files(places, served)) if one is not None]
    return (*files, *_keep_registry(vault, places))


def _keep_registry(vault: Vault, places: Places) -> Iterator[File]:
    """As of one moment, whoever writes to it meanwhile."""
    path = Path(places.data) / _REGISTRY
    if not (places.has_registry and path.exists()):
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / _REGISTRY
        with contextlib.closing(sqlite3.connect(path)) as live, contextlib.closing(sqlite3.connect(copy)) as still:
            live.backup(still)
        with copy.open("rb") as stream:
            yield File(place="data", path=_REGISTRY, modified=0, content=vault.put(blocks(stream)))


def newer_files(places: Places, files: Sequence[File], served: Sequence[str], *, since: int) -> Iterator[str]:
    """What the target has that came or changed after `since` (nanoseconds) and the backup does not know so."""
    kept = {(one.place, one.path): one for one in files}
    there = list(found_files(places, served))
    if (registry := Path(places.data) / _REGISTRY).exists() and places.has_registry:
        status = registry.stat()
        there.append(Found("data", _REGISTRY, status.st_size, status.st_mtime_ns))
    for one in there:
        same = kept.get((one.place, one.path))
        is_other = same is None or same.content != content_of(places, one)
        if one.modified > since and is_other:
            yield one.path


def content_of(places: Places, found: Found) -> Content:
    system, base = file_system(places.uri(found.place))
    digest = hashlib.sha256()
    with system.open_input_stream(f"{base}/{found.path}") as stream:
        for block in blocks(stream):
            digest.update(block)
    return Content(sha256=digest.hexdigest(), size=found.size)


def put_back(vault: Vault, places: Places, files: Sequence[File], served: Sequence[str]) -> None:
    """The target's kept folders hold these files afterwards and no others; what is as it should be is left alone."""
    wanted = {(one.place, one.path): one for one in files}
    there = {(one.place, one.path): one for one in found_files(places, served)}

    def put(one: File) -> None:
        found = there.get((one.place, one.path))
        if found is None or found.size != one.content.size or content_of(places, found) != one.content:
            _write(places, one, vault.read(one.content))

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(put, wanted.values()))
    _delete(places, [one for key, one in there.items() if key not in wanted])


def _write(places: Places, one: File, content: Iterator[bytes]) -> None:
    """Whole or not at all: only what was read to its end, and found right, gets its name."""
    system, base = file_system(places.uri(one.place))
    path = f"{base}/{one.path}"
    draft = f"{path}.{uuid.uuid4().hex}.tmp"
    system.create_dir(path.rpartition("/")[0], recursive=True)
    try:
        with system.open_output_stream(draft) as out:
            for block in content:
                out.write(block)
        system.move(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            system.delete_file(draft)
        raise


def _delete(places: Places, every: Sequence[Found]) -> None:
    for one in every:
        system, base = file_system(places.uri(one.place))
        system.delete_file(f"{base}/{one.path}")
