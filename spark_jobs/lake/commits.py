"""What Delta's log says of a table's commits, read as the JSON it is: no Spark job for a number already written."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import unquote

from pyarrow import fs

from data_contracts.columns import DAY
from spark_jobs.lake.files import file_system, read_bytes

# Commits that leave a table's rows as their writer left them, or only take a person out of them.
_UPKEEP = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "DELETE")
_DAYS = "days"
_ABSOLUTE = re.compile(r"[a-z0-9]+:/")


@dataclass(frozen=True)
class AddedFile:
    """`path`: below the table's folder. `partition`: value by column, as text. `nulls`: how many by column, of the
    columns that Delta keeps count of.
    """

    path: str
    partition: Mapping[str, str | None]
    rows: int
    nulls: Mapping[str, int]
    bytes: int = 0

    def uri(self, table: str) -> str:
        """Where it lies; a shallow clone's files are those of the table that it was made of."""
        return self.path if _ABSOLUTE.match(self.path) else f"{table}/{self.path}"


@dataclass(frozen=True)
class Commit:
    """`note`: what the writer left beside it, see `write_table`. `touched`: partitions of the files that it added or
    removed because rows changed.
    """

    version: int
    added: tuple[AddedFile, ...]
    note: str | None
    operation: str = "WRITE"
    touched: tuple[Mapping[str, str | None], ...] = ()

    @property
    def rows(self) -> int:
        """Rows of the files that it added."""
        return sum(file.rows for file in self.added)

    @property
    def bytes(self) -> int:
        """Size of the files that it added."""
        return sum(file.bytes for file in self.added)

    @property
    def days(self) -> Mapping[str, int]:
        """Rows that it added by day, of a table that is partitioned by one."""
        rows: Counter[str] = Counter()
        for file in self.added:
            if day := file.partition.get(DAY):
                rows[day] += file.rows
        return dict(sorted(rows.items()))


def newest_version(uri: str) -> int | None:
    """None where no table lies."""
    system, path = file_system(f"{uri}/_delta_log")
    infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    commits = [info.base_name.removesuffix(".json") for info in infos if info.base_name.endswith(".json")]
    return max((int(commit) for commit in commits if commit.isdigit()), default=None)


def last_commit(uri: str) -> Commit | None:
    """None where no table lies."""
    version = newest_version(uri)
    return None if version is None else _commit(uri, version)


def last_write(uri: str) -> Commit | None:
    """The last commit that was no upkeep; None where no table lies, or where its log no longer reaches back so far."""
    for version in range(newest_version(uri) or 0, -1, -1):
        try:
            commit = _commit(uri, version)
        except FileNotFoundError:
            return None
        if commit.operation not in _UPKEEP:
            return commit
    return None


def last_written_files(uri: str) -> tuple[AddedFile, ...]:
    """Files that hold the rows of the last write as they lie now, compacted or thinned out since.

    Upkeep that came later touches other partitions as well: only those that were written count.
    """
    written = last_write(uri)
    own = [file.partition for file in written.added] if written else []
    files: dict[str, AddedFile] = {}
    for version in () if written is None else range(written.version, (newest_version(uri) or 0) + 1):
        for action in _actions(uri, version):
            if "remove" in action:
                files.pop(unquote(action["remove"]["path"]), None)
            elif "add" in action:
                added = _added(action["add"])
                if added.partition in own:
                    files[added.path] = added
    return tuple(files.values())


def note_of_days(days: Sequence[date]) -> str:
    """The note of a commit that replaced these days."""
    return json.dumps({_DAYS: [day.isoformat() for day in sorted(set(days))]})


def changed_days(uri: str, *, after: int) -> tuple[date, ...] | None:
    """Days whose rows the commits after version `after` replaced, ascending; None where the log no longer tells.

    A commit without such a note is asked for the `day` of the files it touched. Upkeep replaces no day: what it takes
    away, a person or what is too old, is taken from everything made of it as well.
    """
    newest, days = newest_version(uri), set[date]()
    for version in range(after + 1, -1 if newest is None else newest + 1):
        try:
            commit = _commit(uri, version)
            days.update(() if commit.operation in _UPKEEP else _days(commit))
        except (FileNotFoundError, KeyError, ValueError):
            return None
    return tuple(sorted(days))


def first_changed_day(uri: str, *, after: int) -> date | None:
    """The earliest of `changed_days`: date.min where the log no longer tells; None where nothing changed."""
    days = changed_days(uri, after=after)
    return date.min if days is None else min(days, default=None)


def _days(commit: Commit) -> Iterator[date]:
    note = json.loads(commit.note) if commit.note and commit.note.startswith("{") else {}
    if _DAYS in note:
        return (date.fromisoformat(day) for day in note[_DAYS])
    return (date.fromisoformat(partition["day"] or "") for partition in commit.touched)


def _commit(uri: str, version: int) -> Commit:
    """Raises FileNotFoundError for a commit that the log no longer holds."""
    actions = _actions(uri, version)
    added = tuple(_added(action["add"]) for action in actions if "add" in action)
    files = [action[kind] for action in actions for kind in ("add", "remove") if kind in action]
    touched = tuple(file.get("partitionValues", {}) for file in files if file.get("dataChange", True))
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    return Commit(version, added, info.get("userMetadata"), info.get("operation", "WRITE"), touched)


def _actions(uri: str, version: int) -> list[dict[str, Any]]:
    lines = read_bytes(f"{uri}/_delta_log/{version:020d}.json").decode("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _added(action: Mapping[str, Any]) -> AddedFile:
    stats = json.loads(action.get("stats") or "{}")
    nulls = {name: count for name, count in stats.get("nullCount", {}).items() if isinstance(count, int)}
    return AddedFile(
        unquote(action["path"]), action["partitionValues"], stats.get("numRecords", 0), nulls, action["size"]
    )
