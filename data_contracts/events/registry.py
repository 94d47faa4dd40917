"""Where schemas get their numbers: a Confluent-compatible registry, or without one the schemas that are kept here."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from data_contracts.errors import UnavailableError
from data_contracts.events.schemas import TOPICS, EventSchema, versions
from data_contracts.settings import Settings

_NOT_FOUND = 404


class UnknownSchemaError(LookupError):
    """The registry answers, and knows no schema of that number."""


class Registry(Protocol):
    def id_of(self, schema: EventSchema) -> int:
        """The number that messages written with this schema carry. Raises UnavailableError."""

    def text_of(self, schema_id: int) -> str:
        """The schema in JSON. Raises UnknownSchemaError; UnavailableError when nobody can say now."""


class KeptSchemas:
    """Numbers made of the schemas' content: every process that has the same files agrees on them."""

    def __init__(self) -> None:
        every = [schema for topic in TOPICS for schema in versions(topic)]
        self._texts = {self.id_of(schema): schema.text for schema in every}

    def id_of(self, schema: EventSchema) -> int:
        return zlib.crc32(schema.text.encode()) & 0x7FFF_FFFF

    def text_of(self, schema_id: int) -> str:
        if schema_id not in self._texts:
            raise UnknownSchemaError(schema_id)
        return self._texts[schema_id]


class ConfluentRegistry:
    """Whoever speaks Confluent's interface; `mock://` is one within this process. Subjects are `<topic>-value`."""

    def __init__(self, url: str, *, auth: str = "") -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415 - takes two seconds

        credentials = {"basic.auth.user.info": auth} if auth else {}
        self._client = SchemaRegistryClient.new_client({"url": url, **credentials})

    def id_of(self, schema: EventSchema) -> int:
        """Registers the schema where it is not known yet; then the registry itself refuses incompatible ones."""
        from confluent_kafka.schema_registry import Schema, SchemaRegistryError  # noqa: PLC0415

        subject, told = _subject(schema.topic), Schema(schema.text, "AVRO")
        with _translated():
            try:
                return _number(self._client.lookup_schema(subject, told).schema_id)
            except SchemaRegistryError as error:
                if error.http_status_code != _NOT_FOUND:
                    raise
            return _number(self._client.register_schema(subject, told))

    def text_of(self, schema_id: int) -> str:
        with _translated():
            return str(self._client.get_schema(schema_id).schema_str)

    def register_kept(self) -> dict[str, int]:
        """Every kept version, oldest first, under backward-transitive compatibility; numbers by `topic version`."""
        from confluent_kafka.schema_registry import ConfigCompatibilityLevel, ServerConfig  # noqa: PLC0415

        rule = ServerConfig(compatibility=ConfigCompatibilityLevel.BACKWARD_TRANSITIVE)
        numbers: dict[str, int] = {}
        for topic in TOPICS:
            with _translated():
                self._client.set_config(_subject(topic), rule)
            numbers |= {f"{topic} {schema.version}": self.id_of(schema) for schema in versions(topic)}
        return numbers


def registry(settings: Settings) -> Registry:
    if settings.schema_registry_url is None:
        return KeptSchemas()
    return ConfluentRegistry(settings.schema_registry_url, auth=settings.schema_registry_auth.get_secret_value())


def _number(schema_id: int | None) -> int:
    if schema_id is None:
        raise UnavailableError("the schema registry (RECS_SCHEMA_REGISTRY_URL) answers without a schema number")
    return schema_id


def _subject(topic: str) -> str:
    return f"{topic}-value"


@contextmanager
def _translated() -> Iterator[None]:
    """What the client and its HTTP library raise, in our words; the URL may hold a password and is not repeated."""
    from confluent_kafka.schema_registry import SchemaRegistryError  # noqa: PLC0415

    # Which of two HTTP libraries it uses depends on what is installed.
    from confluent_kafka.schema_registry.common._httpx_compat import httpx  # noqa: PLC0415

    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code == _NOT_FOUND:
            raise UnknownSchemaError(str(error)) from error
        raise UnavailableError(f"the schema registry (RECS_SCHEMA_REGISTRY_URL) refuses: {error}") from error
    except (httpx.HTTPError, OSError) as error:
        raise UnavailableError(f"the schema registry (RECS_SCHEMA_REGISTRY_URL) does not answer: {error}") from error
