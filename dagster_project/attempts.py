"""Attempts of a night: each scoring of an as-of date gets the next number, and a killed attempt keeps its own."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from pyarrow import fs

from dagster_project.files import file_system
from data_contracts.errors import InputError
from data_contracts.night import parse_snapshot_id

_OWNER = "run.json"


@dataclass(frozen=True)
class Attempts:
    """The attempts under `{lake}/snapshots`, each with the run that owns it."""

    lake: str

    def claim(self, as_of: date, *, run_id: str) -> int:
        """The attempt of this run: the one it already owns, else the next number."""
        numbers = self._numbers(as_of)
        for number in numbers:
            if self._owner(as_of, number) == run_id:
                return number
        number = max(numbers, default=0) + 1
        filesystem, root = self._open()
        folder = f"{root}/{as_of.isoformat()}.{number}"
        filesystem.create_dir(folder, recursive=True)
        with filesystem.open_output_stream(f"{folder}/{_OWNER}") as stream:
            stream.write(json.dumps({"run_id": run_id}).encode())
        return number

    def latest(self, as_of: date) -> int:
        """The newest attempt of a date. Raises InputError if there is none."""
        numbers = self._numbers(as_of)
        if not numbers:
            raise InputError(f"{self.lake} has no snapshot of {as_of}: materialise its scoring first")
        return max(numbers)

    def _open(self) -> tuple[fs.FileSystem, str]:
        return file_system(f"{self.lake}/snapshots")

    def _numbers(self, as_of: date) -> list[int]:
        filesystem, root = self._open()
        found = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True))
        names = [PurePosixPath(info.path).name for info in found if info.type == fs.FileType.Directory]
        parsed = [parse_snapshot_id(name) for name in names if name[:1].isdigit()]
        return sorted(number for day, number in parsed if day == as_of)

    def _owner(self, as_of: date, number: int) -> str | None:
        filesystem, root = self._open()
        try:
            with filesystem.open_input_stream(f"{root}/{as_of.isoformat()}.{number}/{_OWNER}") as stream:
                return str(json.loads(stream.read())["run_id"])
        except (FileNotFoundError, ValueError, KeyError):
            return None
