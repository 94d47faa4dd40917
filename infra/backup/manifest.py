"""What a backup holds: every object by its SHA-256. The manifest is written last: without it there is no backup."""

import hashlib
import json
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data_contracts.errors import InputError

FORMAT: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(_Part):
    """One object of the vault; `size` in bytes."""

    sha256: str
    size: int


class File(_Part):
    """A file below the lake or the data folder; `modified` in nanoseconds since 1970, 0 where nobody knows."""

    place: Literal["lake", "data"]
    path: str
    modified: int
    content: Content


class Partition(_Part):
    name: str
    rows: int
    content: Content


class Table(_Part):
    """A table of ClickHouse as Parquet, a partition an object; `newest`: when its newest row came."""

    name: str
    rows: int
    newest: datetime | None
    partitions: tuple[Partition, ...]


class Backup(_Part):
    """`served`: the snapshots whose folders are in it, the current one last. `steps`: of sql/migrations.yaml."""

    format: Literal[1] = FORMAT
    backup_id: str
    started_at: datetime
    finished_at: datetime
    lake: str
    steps: tuple[str, ...]
    served: tuple[str, ...]
    files: tuple[File, ...]
    tables: tuple[Table, ...]

    @property
    def contents(self) -> dict[str, Content]:
        """Every object that it needs, once."""
        every = [one.content for one in self.files] + [part.content for one in self.tables for part in one.partitions]
        return {content.sha256: content for content in every}

    @property
    def size(self) -> int:
        """Bytes, each object counted once."""
        return sum(content.size for content in self.contents.values())


def to_json(backup: Backup) -> bytes:
    """With its own checksum."""
    text = backup.model_dump_json()
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "backup": text}).encode()


def from_json(content: bytes, *, where: str) -> Backup:
    """Raises InputError for one that is cut off, changed or of another format."""
    try:
        kept = json.loads(content)
        if hashlib.sha256(kept["backup"].encode()).hexdigest() != kept["sha256"]:
            raise InputError(f"{where} is not as it was written: its checksum differs; take another backup")
        return Backup.model_validate_json(kept["backup"])
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise InputError(f"{where} is no manifest of a backup: {' '.join(str(error).split())[:200]}") from error
