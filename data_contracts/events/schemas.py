"""The schemas that are kept: `<topic>-<version>.avsc`, every version that was ever written, never changed afterwards.

Beside Avro's own attributes a schema says `schema_version`, `producer`, and which of its fields are `idempotency_key`
(a string, the same whenever the same event is delivered again) and `event_time` (microseconds, UTC). `values` of a
string field is its vocabulary: not an Avro enum, because readers of an older version must be able to read a new word.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError

DEAD_LETTERS = ".dlq"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class EventSchema:
    """One version of a topic's schema; `text` is the file's JSON in one line."""

    topic: str
    version: str
    text: str

    @property
    def parsed(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed

    @property
    def idempotency_key(self) -> str:
        return str(self.parsed["idempotency_key"])

    @property
    def event_time(self) -> str:
        return str(self.parsed["event_time"])

    @property
    def producer(self) -> str:
        return str(self.parsed["producer"])

    @property
    def full_name(self) -> str:
        return f"{self.parsed['namespace']}.{self.parsed['name']}"


@cache
def _kept() -> Mapping[str, tuple[EventSchema, ...]]:
    """By topic, oldest version first."""
    found: dict[str, list[EventSchema]] = {}
    for path in sorted(_FOLDER.glob("*.avsc")):
        topic, _, version = path.stem.rpartition("-")
        text = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
        found.setdefault(topic, []).append(EventSchema(topic, version, text))
    return {topic: tuple(sorted(schemas, key=_order)) for topic, schemas in found.items()}


def _order(schema: EventSchema) -> tuple[int, ...]:
    return tuple(int(part) for part in schema.version.split("."))


TOPICS: tuple[str, ...] = tuple(_kept())


def versions(topic: str) -> tuple[EventSchema, ...]:
    """Every version kept of a topic, oldest first. Raises InputError for a topic that nobody described."""
    if topic not in _kept():
        raise InputError(f"no topic {topic}; there are: {', '.join(TOPICS)}")
    return _kept()[topic]


def newest(topic: str) -> EventSchema:
    return versions(topic)[-1]
