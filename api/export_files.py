"""Exports as files in a folder or a bucket: parts by a hash of the user, and a manifest, which is written last.

Each attempt writes its parts into a folder of its own, so that two never write the same file. Without a manifest there
is no export: what a killed attempt left behind is cleared by the one that finishes.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pyarrow as pa
from pyarrow import fs

from api.bulk import Pull
from api.bulk_formats import Writer, export_writer_of
from data_contracts.errors import InputError
from sql.ranges import Shard

MANIFEST = "manifest.json"
# An attempt's own copy of it, beside its parts.
_OWN = "written.json"


class StoppedError(Exception):
    """Somebody cancelled it, or the service ends."""


@dataclass(frozen=True)
class Part:
    """`name`: its path below the export's folder."""

    name: str
    bytes: int
    sha256: str
    users: int
    lists: int
    items: int


@dataclass(frozen=True)
class Folder:
    """`uri` as a path, or as pyarrow.fs reads it (s3://bucket/folder?endpoint_override=…)."""

    uri: str

    @property
    def _opened(self) -> tuple[fs.FileSystem, str]:
        if "://" not in self.uri:
            return fs.LocalFileSystem(), str(Path(self.uri).absolute())
        base, _, options = self.uri.partition("?")
        found, path = fs.FileSystem.from_uri(f"{base}?{options}" if options else base)
        return found, path

    def at(self, name: str) -> "Folder":
        base, mark, options = self.uri.partition("?")
        return Folder(f"{base.rstrip('/')}/{name}{mark}{options}")

    def make(self) -> None:
        filesystem, path = self._opened
        filesystem.create_dir(path, recursive=True)

    def empty(self) -> None:
        filesystem, path = self._opened
        filesystem.delete_dir_contents(path, missing_dir_ok=True)

    def keep_only(self, names: Collection[str]) -> None:
        """Whatever else is in it, is deleted."""
        filesystem, path = self._opened
        for found in filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True)):
            if found.base_name in names:
                continue
            if found.type is fs.FileType.Directory:
                filesystem.delete_dir(found.path)
            else:
                filesystem.delete_file(found.path)

    def write(self, name: str, parts: Iterator[bytes]) -> tuple[int, str]:
        """Its size and SHA-256."""
        filesystem, path = self._opened
        size, digest = 0, hashlib.sha256()
        with filesystem.open_output_stream(f"{path}/{name}") as out:
            for part in parts:
                out.write(part)
                digest.update(part)
                size += len(part)
        return size, digest.hexdigest()

    def publish(self, name: str, parts: Iterator[bytes]) -> None:
        """Whole or not at all; of several at once, the one that ends last."""
        filesystem, path = self._opened
        draft = f".{name}.{uuid4().hex}"
        self.write(draft, parts)
        filesystem.move(f"{path}/{draft}", f"{path}/{name}")

    def rename(self, name: str, to: str) -> None:
        """Where it is there; somebody else may do the same at this moment."""
        filesystem, path = self._opened
        try:
            filesystem.move(f"{path}/{name}", f"{path}/{to}")
        except OSError:
            if self.has(name):
                raise

    def put_back(self, attempt: str) -> None:
        """An attempt's manifest in place of that which is there; none where it has not come to one."""
        own = self.at(attempt)
        if own.has(_OWN):
            with own.read(_OWN) as opened:
                self.publish(MANIFEST, iter([opened.read()]))
        else:
            filesystem, path = self._opened
            filesystem.delete_file(f"{path}/{MANIFEST}")

    def has(self, name: str) -> bool:
        filesystem, path = self._opened
        return bool(filesystem.get_file_info(f"{path}/{name}").type is not fs.FileType.NotFound)

    def read(self, name: str) -> pa.NativeFile:
        filesystem, path = self._opened
        return filesystem.open_input_file(f"{path}/{name}")


def write_export(
    pull: Pull,
    folder: Folder,
    *,
    attempt: str,
    partitions: int,
    has_bom: bool,
    about: Mapping[str, Any],
    go_on: Callable[[int], None],
    ready: Callable[[Mapping[str, Any]], None],
    whose: Callable[[], str],
) -> Mapping[str, Any]:
    """The manifest, once it is there, and nothing beside it but the parts of `attempt`.

    `go_on` is told the users so far; `ready` the manifest, right before it is there. Both raise StoppedError to end it.
    `whose` tells the attempt that was begun last: where it is another one, begun while this one stood still, that one's
    manifest is put back, and this one ends.
    """
    own = folder.at(attempt)
    own.make()
    parts: list[Part] = []
    policies: dict[str, None] = {}
    for number in range(partitions):
        before = sum(part.users for part in parts)
        one = replace(pull, asked=replace(pull.asked, shard=Shard(number, partitions)))
        writer = export_writer_of(pull.asked.format, has_bom=has_bom)
        counted = _Counted(one, writer, lambda users, before=before: go_on(before + users))  # type: ignore[misc]
        name = f"part-{number:05}.{pull.asked.format.value}"
        size, digest = own.write(name, iter(counted))
        told = counted.told
        parts.append(Part(f"{attempt}/{name}", size, digest, told["users"], told["lists"], told["items"]))
        policies |= dict.fromkeys(told["policy_hashes"])
    manifest = {
        **about,
        "snapshot_id": pull.snapshot.snapshot_id,
        "policy_hashes": list(policies),
        "files": [asdict(part) for part in parts],
        **{name: sum(getattr(part, name) for part in parts) for name in ("users", "lists", "items")},
    }
    text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
    own.publish(_OWN, iter([text]))
    ready(manifest)
    folder.publish(MANIFEST, iter([text]))
    if (last := whose()) != attempt:
        folder.put_back(last)
        raise StoppedError
    folder.keep_only({MANIFEST, attempt})
    return manifest


def short_name(path: str) -> str:
    """By which a part is asked for: it stays the same, whichever attempt wrote it."""
    return path.rpartition("/")[2]


class _Counted:
    """The bytes of a part; `told` is there when they are all taken."""

    def __init__(self, pull: Pull, writer: Writer, go_on: Callable[[int], None]) -> None:
        self._pull = pull
        self._writer = writer
        self._go_on = go_on
        self.told: Mapping[str, Any] = {}

    def __iter__(self) -> Iterator[bytes]:
        self.told = yield from self._pull.through(self._writer, self._go_on)


@contextmanager
def verified(folder: Folder, file: Mapping[str, Any]) -> Iterator[pa.NativeFile]:
    """A part, opened at its beginning; `file` as the manifest has it. Raises InputError for a changed one."""
    with folder.read(file["name"]) as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != file["sha256"]:
            raise InputError(f"{file['name']}: is not what was exported")
        opened.seek(0)
        yield opened
