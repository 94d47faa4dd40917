"""Schemas of events: what each must say, and that the newest reads whatever was ever written."""

import json
from pathlib import Path
from typing import Any

import pytest

import data_contracts.events
from data_contracts.errors import InputError
from data_contracts.events import TOPICS, EventSchema, newest, versions
from data_contracts.events.compatibility import incompatibilities
from data_contracts.tables import contract
from data_contracts.vocabulary import (
    CampaignEvent,
    Channel,
    FeedbackEvent,
    Kind,
    ProductEvent,
    SuppressionEvent,
    SuppressionKind,
    TelemetryEvent,
    Tier,
    Variant,
)

EVERY_VERSION = [pytest.param(schema, id=f"{topic}-{schema.version}") for topic in TOPICS for schema in versions(topic)]
WORDS = {
    ("bank.product_events", "event_type"): ProductEvent,
    ("campaign.interactions", "event_type"): CampaignEvent,
    ("campaign.interactions", "channel"): Channel,
    ("contact.suppressions", "event_type"): SuppressionEvent,
    ("contact.suppressions", "channel"): Channel,
    ("contact.suppressions", "kind"): SuppressionKind,
    ("digital.telemetry", "event_type"): TelemetryEvent,
    ("recommendation.feedback", "event_type"): FeedbackEvent,
    ("recommendation.feedback", "channel"): Channel,
    ("recommendation.exposures", "channel"): Channel,
    ("recommendation.exposures", "kind"): [*Kind, "mixed"],
    ("recommendation.exposures", "variant"): Variant,
    ("recommendation.exposures", "product_variant"): Variant,
    ("recommendation.exposures", "offer_variant"): Variant,
    ("recommendation.exposures", "tier"): Tier,
}


def fields(schema: EventSchema) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in schema.parsed["fields"]}


def changed(topic: str, version: str, **changes: Any) -> EventSchema:
    """The newest schema with other attributes; `fields` gives changes by field, None to leave one out."""
    parsed = dict(newest(topic).parsed)
    parts = changes.pop("fields", {})
    told = [{**field, **(parts.get(field["name"]) or {})} for field in parsed["fields"] if parts.get(field["name"], 1)]
    added = [{"name": name, **part} for name, part in parts.items() if part and name not in fields(newest(topic))]
    return EventSchema(topic, version, json.dumps({**parsed, "fields": told + added, **changes}))


def test_the_seven_topics_are_described() -> None:
    assert set(TOPICS) == {
        "bank.transactions",
        "bank.product_events",
        "campaign.interactions",
        "contact.suppressions",
        "digital.telemetry",
        "recommendation.feedback",
        "recommendation.exposures",
    }


@pytest.mark.parametrize("schema", EVERY_VERSION)
def test_a_schema_says_who_writes_it_what_makes_an_event_the_same_and_when_it_was(schema: EventSchema) -> None:
    said = fields(schema)
    assert schema.parsed["schema_version"] == schema.version
    assert schema.parsed["namespace"] == "bank.events"
    assert schema.producer
    assert said[schema.idempotency_key]["type"] == "string"
    assert said[schema.event_time]["type"] == {"type": "long", "logicalType": "timestamp-micros"}
    assert said["user_id"]["type"] == "long"
    assert all(field.get("doc") for field in said.values())


@pytest.mark.parametrize("topic", TOPICS)
def test_the_newest_schema_reads_what_every_version_wrote(topic: str) -> None:
    assert incompatibilities(versions(topic)) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fields": {"campaign_id": None, "wave": {"type": "string"}}}, "wave"),
        ({"fields": {"user_id": {"type": "string"}}}, "reader type: string not compatible with writer type: long"),
        ({"fields": {"event_type": {"values": ["shown"]}}}, "event_type lost clicked, dismissed, held_out, purchased"),
        ({"name": "Contact"}, "name is Contact, was CampaignInteraction"),
        ({"idempotency_key": "campaign_id"}, "idempotency_key is campaign_id, was event_id"),
    ],
)
def test_a_change_that_older_events_do_not_survive_is_named(change: dict[str, Any], why: str) -> None:
    found = incompatibilities([*versions("campaign.interactions"), changed("campaign.interactions", "9.0", **change)])
    assert any(line.startswith("campaign.interactions 9.0 cannot read 1.0: ") and why in line for line in found), found


def test_a_new_field_with_a_default_and_a_new_word_are_compatible() -> None:
    words = [*CampaignEvent, "forwarded"]
    more = {"creative": {"type": ["null", "string"], "default": None}, "event_type": {"values": words}}
    later = changed("campaign.interactions", "1.2", fields=more)
    assert incompatibilities([*versions("campaign.interactions"), later]) == []


def test_compatibility_is_with_all_earlier_versions_not_only_the_last() -> None:
    first = newest("bank.transactions")
    without = changed("bank.transactions", "2.0", fields={"category": None})
    again = changed("bank.transactions", "3.0", fields={"category": {"type": "long", "default": 0}})
    found = incompatibilities([first, without, again])
    assert [line.split(":")[0] for line in found] == ["bank.transactions 3.0 cannot read 1.0"]


@pytest.mark.parametrize(("place", "words"), WORDS.items())
def test_a_vocabulary_in_a_schema_is_the_one_of_the_code(place: tuple[str, str], words: type) -> None:
    topic, name = place
    assert set(fields(newest(topic))[name]["values"]) == set(words)  # type: ignore[call-overload]


@pytest.mark.parametrize("table", ["bronze.campaign_interactions", "silver.campaign_interactions"])
def test_tables_admit_every_word_of_a_campaign(table: str) -> None:
    (column,) = [column for column in contract(table).columns if column.name == "event_type"]
    assert set(column.values or ()) == set(CampaignEvent)


def test_versions_are_in_order_of_number_not_of_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.10", "1.9", "1.0"):
        (tmp_path / f"a.b-{version}.avsc").write_text("{}")
    monkeypatch.setattr(data_contracts.events.schemas, "_FOLDER", tmp_path)
    data_contracts.events.schemas._kept.cache_clear()
    try:
        assert [schema.version for schema in versions("a.b")] == ["1.0", "1.9", "1.10"]
    finally:
        data_contracts.events.schemas._kept.cache_clear()


def test_an_unknown_topic_is_named_beside_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"no topic bank\.nothing; there are: bank\.product_events, bank\.tr"):
        newest("bank.nothing")
