"""Where backups lie, a folder or a bucket: objects named by their SHA-256, each once, and a manifest a backup."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pyarrow import fs

from data_contracts.errors import InputError, UnavailableError
from infra.backup.manifest import Backup, Content, from_json, to_json
from spark_jobs.lake.files import file_system, read_bytes, write_bytes

_BLOCK = 4 * 2**20
# An object may be older than the manifest that will name it.
_YOUNG = timedelta(days=1)


class Readable(Protocol):
    """Pyarrow's files and Python's."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Vault:
    """`uri`: a path, or a bucket as pyarrow.fs reads it (s3://bucket/folder?endpoint_override=…)."""

    uri: str

    def put(self, source: Iterable[bytes]) -> Content:
        """Keep what a stream says; what is there already is not kept again."""
        system, base = self._opened()
        digest, size, draft = hashlib.sha256(), 0, f"{base}/objects/.draft-{uuid.uuid4().hex}"
        system.create_dir(f"{base}/objects", recursive=True)
        with system.open_output_stream(draft) as out:
            for block in source:
                digest.update(block)
                size += len(block)
                out.write(block)
        content = Content(sha256=digest.hexdigest(), size=size)
        if self.has(content):
            system.delete_file(draft)
        else:
            system.create_dir(self._object(base, content).rpartition("/")[0], recursive=True)
            system.move(draft, self._object(base, content))
        return content

    def has(self, content: Content) -> bool:
        """Whether it is there, as long as it should be; what is in it only reading tells."""
        system, base = self._opened()
        info = system.get_file_info(self._object(base, content))
        return bool(info.type == fs.FileType.File and info.size == content.size)

    def read(self, content: Content) -> Iterator[bytes]:
        """Block by block. Raises InputError, after the last, when they are not what was kept."""
        system, base = self._opened()
        digest = hashlib.sha256()
        path = self._object(base, content)
        try:
            with system.open_input_stream(path) as stream:
                for block in blocks(stream):
                    digest.update(block)
                    yield block
        except FileNotFoundError as error:
            raise InputError(f"{path} is missing from the backup: take another one") from error
        if digest.hexdigest() != content.sha256:
            raise InputError(f"{path} is not what was backed up: its checksum differs; take another backup")

    def ids(self) -> tuple[str, ...]:
        """Of the backups that are whole, oldest first."""
        system, base = self._opened()
        found = system.get_file_info(fs.FileSelector(f"{base}/backups", allow_not_found=True))
        return tuple(sorted(info.base_name.removesuffix(".json") for info in found if info.extension == "json"))

    def backup(self, backup_id: str) -> Backup:
        """Raises InputError for one that is not there or not whole."""
        where = self._manifest(backup_id)
        try:
            return from_json(read_bytes(where), where=where)
        except FileNotFoundError as error:
            there = ", ".join(self.ids()[-5:]) or "none"
            raise InputError(f"no backup {backup_id} in {self.uri}; the newest there: {there}") from error

    def finish(self, backup: Backup) -> None:
        write_bytes(self._manifest(backup.backup_id), to_json(backup))

    def forget(self, *, keep: int, now: datetime, days: int = 0) -> tuple[str, ...]:
        """Drop all but the newest `keep` backups and the last of each of the newest `days` days that have one, and the
        objects that none of those needs. Returns the ids dropped.
        """
        system, base = self._opened()
        ids = self.ids()
        staying = staying_ids(ids, keep=keep, days=days)
        old = tuple(one for one in ids if one not in staying)
        needed = {sha256 for one in staying for sha256 in self.backup(one).contents}
        for one in old:
            system.delete_file(f"{base}/backups/{one}.json")
        for info in system.get_file_info(fs.FileSelector(f"{base}/objects", recursive=True, allow_not_found=True)):
            is_young = info.mtime is not None and now - info.mtime.replace(tzinfo=UTC) < _YOUNG
            if info.type == fs.FileType.File and info.base_name not in needed and not is_young:
                system.delete_file(info.path)
        return old

    def _opened(self) -> tuple[fs.FileSystem, str]:
        try:
            return file_system(self.uri)
        except (OSError, ValueError) as error:
            raise UnavailableError(f"backups at {self.uri}: {error}") from error

    def _manifest(self, backup_id: str) -> str:
        base, mark, options = self.uri.partition("?")
        return f"{base.rstrip('/')}/backups/{backup_id}.json{mark}{options}"

    @staticmethod
    def _object(base: str, content: Content) -> str:
        return f"{base}/objects/{content.sha256[:2]}/{content.sha256}"


def staying_ids(ids: Sequence[str], *, keep: int, days: int) -> frozenset[str]:
    """Of backups in order, oldest first, those that stay; an id begins with its day."""
    last_of_day = {one.partition("T")[0]: one for one in ids}
    daily = [last_of_day[day] for day in sorted(last_of_day)]
    return frozenset((*ids[-keep:], *(daily[-days:] if days else ())))


def blocks(stream: Readable) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield bytes(block)
