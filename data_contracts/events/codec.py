"""Messages in Confluent's wire format: a zero byte, the schema's number in four, then the event in Avro.

Times travel as microseconds since 1970, UTC, in events that are encoded and decoded alike.
"""

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException
from fastavro.validation import validate

from data_contracts.errors import InputError
from data_contracts.events.registry import Registry, UnknownSchemaError
from data_contracts.events.schemas import EventSchema, newest

_HEAD = struct.Struct(">bI")
_MAGIC = 0
# Everything that a reader stumbles over in bytes that are not what they claim to be.
_BROKEN = (
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    SchemaResolutionError,
)


class UndecodableError(ValueError):
    """A message that is no event of its topic, and why: words without anything of its content."""


@dataclass(frozen=True)
class _Reading:
    """How messages of one schema number are read; `reader` is None where they were written with the newest schema."""

    writer: Any
    reader: Any


class Codec:
    """Encodes with the newest schema of a topic; decodes whatever version wrote the message, into the newest."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._readings: dict[tuple[str, int], _Reading] = {}
        self._heads: dict[str, bytes] = {}
        # Fields that came with a newer schema than we keep and that were left out, by topic and schema number.
        self.left_out: dict[tuple[str, int], list[str]] = {}

    def encode(self, topic: str, event: Mapping[str, Any]) -> bytes:
        """Raises InputError that names the fields which do not fit, and none of their values."""
        if topic not in self._heads:
            self._heads[topic] = _HEAD.pack(_MAGIC, self._registry.id_of(newest(topic)))
        out = io.BytesIO(self._heads[topic])
        out.seek(_HEAD.size)
        try:
            fastavro.schemaless_writer(out, file_schema(topic), event)
        except _BROKEN as error:
            schema = newest(topic)
            raise InputError(f"{topic} {schema.version}: {_misfits(schema, event)}") from error
        return out.getvalue()

    def decode(self, topic: str, message: bytes | None) -> dict[str, Any]:
        """Raises UndecodableError; UnavailableError when the registry cannot be asked."""
        if not message:
            raise UndecodableError("the message is empty")
        if len(message) < _HEAD.size or message[0] != _MAGIC:
            raise UndecodableError("the message does not start as Confluent's wire format does")
        reading = self._reading(topic, _HEAD.unpack_from(message)[1])
        body = io.BytesIO(message)
        body.seek(_HEAD.size)
        try:
            event: Any = fastavro.schemaless_reader(body, reading.writer, reading.reader)
        except _BROKEN as error:
            raise UndecodableError(f"the message breaks off or is garbled ({type(error).__name__})") from error
        if body.tell() != len(message):
            raise UndecodableError("bytes are left over after the event")
        return dict(event)

    def _reading(self, topic: str, schema_id: int) -> _Reading:
        if (topic, schema_id) not in self._readings:
            self._readings[topic, schema_id] = self._read_schema(topic, schema_id)
        return self._readings[topic, schema_id]

    def _read_schema(self, topic: str, schema_id: int) -> _Reading:
        schema = newest(topic)
        try:
            text = self._registry.text_of(schema_id)
        except UnknownSchemaError as error:
            raise UndecodableError(f"its schema {schema_id} is not in the registry") from error
        try:
            written = json.loads(text)
            writer, reader = plain(text), plain(schema.text)
            is_ours = writer["name"] == reader["name"]
            names = [field["name"] for field in written["fields"]]
        except (*_BROKEN, SchemaParseException) as error:
            raise UndecodableError(f"its schema {schema_id} is no Avro record") from error
        if not is_ours:
            raise UndecodableError(f"its schema {schema_id} is {writer['name']}, not {schema.full_name}")
        left_out = [name for name in names if name not in {field["name"] for field in schema.parsed["fields"]}]
        if left_out:
            self.left_out[topic, schema_id] = left_out
        return _Reading(writer, None if writer["fields"] == reader["fields"] else reader)


@cache
def file_schema(topic: str) -> Any:
    """The newest schema of a topic as fastavro wants it; times may be given as microseconds."""
    return fastavro.parse_schema(newest(topic).parsed)


@cache
def plain(text: str) -> Any:
    """A schema for reading numbers as they are stored: fastavro would make objects of times, and fail at year 10000."""
    return fastavro.parse_schema(without_logical_types(json.loads(text)))


def without_logical_types(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: without_logical_types(value) for name, value in part.items() if name != "logicalType"}
    return [without_logical_types(each) for each in part] if isinstance(part, list) else part


def _misfits(schema: EventSchema, event: Mapping[str, Any]) -> str:
    wrong = [
        field["name"]
        for field in schema.parsed["fields"]
        if not validate(event.get(field["name"], field.get("default")), field["type"], raise_errors=False)
    ]
    return f"these fields do not fit the schema: {', '.join(wrong)}" if wrong else "the event does not fit the schema"
