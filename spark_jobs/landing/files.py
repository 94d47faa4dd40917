"""Landed files: staged, moved into place, finished by a successor, and asked for the keys that they hold.

`{lake}/landing/<topic>/<day>/<hour>/<partition>-<first offset>-<flush>.avro`, rows of one partition and one flush;
quarantine likewise under `{lake}/quarantine/landing`, by the hour of arrival, with `rejected` and `arrived` in a row.
Staged: `{lake}/landing/.staging/<group>/<topic>/<partition>/<flush>/` and then the path that it will have in the lake.
"""

import contextlib
import errno
import io
import os
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
from pyarrow import fs

from data_contracts.errors import InputError
from data_contracts.events import newest
from data_contracts.events.codec import file_schema, without_logical_types
from spark_jobs.lake.files import delete_folder, file_system, open_stream

REJECTED, ARRIVED = "rejected", "arrived"
_STAGING = "landing/.staging"
_MICROS = {"type": "long", "logicalType": "timestamp-micros"}


class FencedError(Exception):
    """The partitions went to somebody else before this consumer committed: nothing of its batch has landed."""


@dataclass(frozen=True, order=True)
class Shard:
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"

    @property
    def prefix(self) -> str:
        """How the names of its files start."""
        return f"{self.partition:05d}-"


@dataclass(frozen=True)
class LandedFiles:
    """The files of one lake, as one consumer group writes them."""

    lake: str
    group: str

    def stage(self, shard: Shard, flush: str, files: Mapping[str, bytes]) -> None:
        """Make files durable, invisible to readers. Keys are paths relative to the lake.

        Raises FencedError when a successor tidies up here already.
        """
        system, base = file_system(self._staged(shard, flush))
        try:
            for path, content in files.items():
                target = f"{base}/{path}"
                system.create_dir(target.rpartition("/")[0], recursive=True)
                with system.open_output_stream(target) as stream:
                    stream.write(content)
            _sync(system, [f"{base}/{path}" for path in files])
        except FileNotFoundError as error:
            raise FencedError(f"what was staged of {shard} is gone") from error

    def publish(self, shard: Shard, flush: str) -> None:
        """Move what a flush staged into place; done again, or by two at once, it changes nothing."""
        system, base = file_system(self._staged(shard, flush))
        _, lake = file_system(self.lake)
        staged = [info.path for info in _files(system, base)]
        targets = [f"{lake}/{path.removeprefix(base).lstrip('/')}" for path in staged]
        for path, target in zip(staged, targets, strict=True):
            system.create_dir(target.rpartition("/")[0], recursive=True)
            with contextlib.suppress(FileNotFoundError):  # a successor was quicker
                system.move(path, target)
        _sync(system, targets)
        self.discard(shard, flush)

    def discard(self, shard: Shard, flush: str) -> None:
        """A flush that was not accepted; with flush empty, all that are left of a partition."""
        try:
            delete_folder(self._staged(shard, flush))
        except OSError as error:
            # Somebody else tidies up, or still writes here: whoever gets the partition next finds what is left.
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise

    def recover(self, shard: Shard, committed: str) -> None:
        """Finish the flush that Kafka has accepted last (empty for none), and drop what it never accepted."""
        if committed:
            self.publish(shard, committed)
        self.discard(shard, "")

    def keys(self, shard: Shard, folder: str) -> set[str]:
        """Idempotency keys that lie in a folder from this partition. Raises InputError for a file that is broken."""
        system, path = file_system(f"{self.lake}/{folder}")
        names = [info.path for info in _files(system, path) if info.base_name.startswith(shard.prefix)]
        return {key for name in names for key in _keys(system, name, shard.topic)}

    def _staged(self, shard: Shard, flush: str) -> str:
        return f"{self.lake}/{_STAGING}/{self.group}/{shard}/{flush}".rstrip("/")


class SeenKeys:
    """Keys by partition and folder, read from the files when first asked for; the least used are forgotten.

    `most` bounds the keys in memory, about 100 bytes each.
    """

    def __init__(self, files: LandedFiles, *, most: int = 1_000_000) -> None:
        self._files = files
        self._most = most
        self._held = 0
        self._sets: OrderedDict[tuple[Shard, str], set[str]] = OrderedDict()

    def of(self, shard: Shard, folder: str) -> set[str]:
        place = (shard, folder)
        if place not in self._sets:
            self._sets[place] = self._files.keys(shard, folder)
            self._held += len(self._sets[place])
        self._sets.move_to_end(place)
        return self._sets[place]

    def add(self, shard: Shard, folder: str, keys: Collection[str]) -> None:
        """Keys that lie in their folder by now."""
        seen = self.of(shard, folder)
        self._held -= len(seen)
        seen.update(keys)
        self._held += len(seen)
        while len(self._sets) > 1 and self._held > self._most:
            self._held -= len(self._sets.popitem(last=False)[1])

    def forget(self) -> None:
        """When partitions change hands: others may have written since."""
        self._sets.clear()
        self._held = 0


def avro_file(topic: str, rows: Sequence[Mapping[str, Any]], *, is_quarantined: bool) -> bytes:
    """One file of events, times in microseconds; of quarantined ones with why and when they arrived."""
    out = io.BytesIO()
    schema = _quarantine_schema(topic) if is_quarantined else file_schema(topic)
    fastavro.writer(out, schema, rows, codec="deflate", codec_compression_level=1, sync_interval=256_000)
    return out.getvalue()


@cache
def _quarantine_schema(topic: str) -> Any:
    """The topic's with two more fields. Times of the event are plain numbers: most readers fail at year 300000."""
    schema = without_logical_types(newest(topic).parsed)
    own = [
        {"name": REJECTED, "type": "string", "doc": "Why it is kept out of landing."},
        {"name": ARRIVED, "type": _MICROS, "doc": "When it arrived, UTC."},
    ]
    return fastavro.parse_schema({**schema, "fields": [*schema["fields"], *own]})


def _keys(system: fs.FileSystem, path: str, topic: str) -> list[str]:
    schema = newest(topic)
    name = schema.idempotency_key
    only_key = {**schema.parsed, "fields": [{"name": name, "type": "string"}]}
    try:
        with open_stream(system, path) as stream:
            return [record[name] for record in fastavro.reader(stream, reader_schema=only_key)]  # type: ignore[index, call-overload]
    except (ValueError, EOFError, IndexError, KeyError) as error:
        raise InputError(
            f"{path}: a landed file that cannot be read ({type(error).__name__}); restore it, or remove it and "
            "let its events be sent again"
        ) from error


def _files(system: fs.FileSystem, folder: str) -> list[fs.FileInfo]:
    infos = system.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    return [info for info in infos if info.type == fs.FileType.File]


def _sync(system: fs.FileSystem, paths: Sequence[str]) -> None:
    """A local disk keeps files and their names through a power cut only when told to; object stores always do."""
    if not isinstance(system, fs.LocalFileSystem):
        return
    folders = {str(folder) for path in paths for folder in Path(path).parents[:3]}  # hour, day and topic may be new
    for path in [*paths, *sorted(folders)]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
