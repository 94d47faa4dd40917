"""What Delta's log says of a table's last commit, read as the JSON it is: no Spark job for a number already written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pyarrow import fs

from spark_jobs.lake.files import file_system, read_bytes


@dataclass(frozen=True)
class AddedFile:
    """`path`: below the table's folder. `partition`: value by column, as text. `nulls`: how many by column, of the
    columns that Delta keeps count of.
    """

    path: str
    partition: Mapping[str, str | None]
    rows: int
    nulls: Mapping[str, int]


@dataclass(frozen=True)
class Commit:
    """`note`: what the writer left beside it, see `write_table`."""

    version: int
    added: tuple[AddedFile, ...]
    note: str | None

    @property
    def rows(self) -> int:
        """Rows of the files that it added."""
        return sum(file.rows for file in self.added)


def newest_version(uri: str) -> int | None:
    """None where no table lies."""
    system, path = file_system(f"{uri}/_delta_log")
    infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    commits = [info.base_name.removesuffix(".json") for info in infos if info.base_name.endswith(".json")]
    return max((int(commit) for commit in commits if commit.isdigit()), default=None)


def last_commit(uri: str) -> Commit | None:
    """None where no table lies."""
    version = newest_version(uri)
    if version is None:
        return None
    lines = read_bytes(f"{uri}/_delta_log/{version:020d}.json").decode("utf-8").splitlines()
    actions = [json.loads(line) for line in lines if line.strip()]
    added = tuple(_added(action["add"]) for action in actions if "add" in action)
    notes = [action["commitInfo"].get("userMetadata") for action in actions if "commitInfo" in action]
    return Commit(version, added, notes[0] if notes else None)


def _added(action: Mapping[str, Any]) -> AddedFile:
    stats = json.loads(action.get("stats") or "{}")
    nulls = {name: count for name, count in stats.get("nullCount", {}).items() if isinstance(count, int)}
    return AddedFile(unquote(action["path"]), action["partitionValues"], stats.get("numRecords", 0), nulls)
