"""Confluent's wire format: what we write others read, what others write we read, and what is neither is named."""

import io
import json
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import InputError, UnavailableError
from data_contracts.events import TOPICS, EventSchema, newest, versions
from data_contracts.events.codec import Codec, UndecodableError
from data_contracts.events.registry import ConfluentRegistry, KeptSchemas, Registry, UnknownSchemaError, registry
from data_contracts.settings import Settings
from tests.integration.landing_bank import event

TOPIC = "bank.transactions"
AT = 1_700_000_000_123_456
ONE = event(TOPIC, "e1", at=AT)


class OneSchema:
    """A registry that knows a single schema, whatever is asked."""

    def __init__(self, text: str) -> None:
        self.text = text

    def id_of(self, schema: EventSchema) -> int:
        return 1

    def text_of(self, schema_id: int) -> str:
        return self.text


def newest_names() -> set[str]:
    return {field["name"] for field in newest(TOPIC).parsed["fields"]}


def written(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    out = io.BytesIO(b"\0\0\0\0\1")
    out.seek(5)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("schemas", [KeptSchemas(), ConfluentRegistry("mock://")], ids=["kept", "mock"])
def test_an_event_comes_back_as_it_went(topic: str, schemas: Registry) -> None:
    one = event(topic, "e1", at=AT)
    decoded = Codec(schemas).decode(topic, Codec(schemas).encode(topic, one))
    assert {name: decoded[name] for name in one} == one


def test_confluent_s_own_serializers_understand_us_and_we_them() -> None:
    ours = ConfluentRegistry("mock://")
    client: SchemaRegistryClient = ours._client
    context = SerializationContext(TOPIC, MessageField.VALUE)
    told = AvroDeserializer(client, newest(TOPIC).text)(Codec(ours).encode(TOPIC, ONE), context)
    assert told["event_id"] == "e1" and told["event_time"].microsecond == 123_456
    theirs = AvroSerializer(client, newest(TOPIC).text)({**ONE, "brand_id": 5}, context)
    assert Codec(ours).decode(TOPIC, theirs) == {**ONE, "brand_id": 5}


def test_kept_schemas_have_the_same_numbers_in_every_process_and_one_each() -> None:
    every = [schema for topic in TOPICS for schema in versions(topic)]
    numbers = {schema: KeptSchemas().id_of(schema) for schema in every}
    assert len(set(numbers.values())) == len(every)
    assert all(KeptSchemas().text_of(number) == schema.text for schema, number in numbers.items())


def test_events_of_an_older_version_are_read_as_the_newest() -> None:
    first, last = versions("campaign.interactions")
    one = event("campaign.interactions", "e1", at=AT) | {"event_type": "shown"}
    codec = Codec(OneSchema(first.text))
    assert codec.decode("campaign.interactions", written(first.parsed, one)) == one
    assert last.version == "1.1" and codec.left_out == {}


def test_a_newer_version_s_fields_are_left_out_and_named() -> None:
    newer = newest(TOPIC).parsed
    newer["fields"].append({"name": "terminal", "type": "string"})
    codec = Codec(OneSchema(json.dumps(newer)))
    assert codec.decode(TOPIC, written(newer, {**ONE, "terminal": "t"})) == {**ONE, "brand_id": None}
    assert codec.left_out == {(TOPIC, 1): ["terminal"]}


@pytest.mark.parametrize("text", ["", "[]", '"string"', '{"type": "record"}', '{"type": "map", "values": "int"}'])
def test_a_schema_that_is_no_record_is_undecodable(text: str) -> None:
    with pytest.raises(UndecodableError, match="its schema 1 is no Avro record"):
        Codec(OneSchema(text)).decode(TOPIC, b"\0\0\0\0\1x")


def test_a_schema_whose_types_ours_cannot_read_is_undecodable() -> None:
    other = newest(TOPIC).parsed
    (amount,) = [field for field in other["fields"] if field["name"] == "amount"]
    amount["type"] = "string"
    with pytest.raises(UndecodableError, match="garbled"):
        Codec(OneSchema(json.dumps(other))).decode(TOPIC, written(other, {**ONE, "amount": "12"}))


@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_are_decoded_or_undecodable_and_nothing_else(noise: bytes, is_headed: bool) -> None:
    codec = Codec(KeptSchemas())
    head = codec.encode(TOPIC, ONE)[:5] if is_headed else b""
    try:
        decoded = codec.decode(TOPIC, head + noise)
    except UndecodableError:
        return
    assert codec.decode(TOPIC, codec.encode(TOPIC, decoded)).keys() == newest_names()


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_message_cut_anywhere_is_undecodable(cut: int) -> None:
    codec = Codec(KeptSchemas())
    with pytest.raises(UndecodableError):
        codec.decode(TOPIC, codec.encode(TOPIC, ONE)[:-cut])


def test_what_does_not_fit_is_named_without_its_value() -> None:
    wrong = {**ONE, "amount": "4276 1234 5678 9012", "user_id": None}
    with pytest.raises(InputError) as refused:
        Codec(KeptSchemas()).encode(TOPIC, wrong)
    assert str(refused.value) == "bank.transactions 1.0: these fields do not fit the schema: user_id, amount"


def test_a_registry_that_is_away_is_no_poison() -> None:
    away = registry(Settings(schema_registry_url="http://someone:secret@127.0.0.1:9"))
    with pytest.raises(UnavailableError, match="RECS_SCHEMA_REGISTRY_URL") as refused:
        Codec(away).decode(TOPIC, b"\0\0\0\0\1x")
    assert "secret" not in str(refused.value)


def test_a_registry_gets_every_version_and_says_what_it_does_not_know() -> None:
    ours = ConfluentRegistry("mock://")
    numbers = ours.register_kept()
    assert set(numbers) == {f"{topic} {schema.version}" for topic in TOPICS for schema in versions(topic)}
    assert ours.register_kept() == numbers
    assert ours.text_of(numbers[f"{TOPIC} 1.0"]) == Schema(newest(TOPIC).text).schema_str
    with pytest.raises(UnknownSchemaError):
        ours.text_of(999)
