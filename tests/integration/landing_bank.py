"""A bank for tests of landing: sends events to a real broker, and reads what lies in the lake."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from data_contracts.events import TOPICS
from data_contracts.events.codec import Codec, plain
from data_contracts.events.registry import KeptSchemas
from data_contracts.events.schemas import DEAD_LETTERS
from data_contracts.settings import Settings
from spark_jobs.landing.batches import Landed, total
from spark_jobs.landing.clients import ensure_topics
from spark_jobs.landing.run import land

SECOND = 1_000_000
DAY = 86_400 * SECOND
REST: Mapping[str, Mapping[str, Any]] = {
    "bank.transactions": {"amount": 12.5, "direction": "out", "category": "mcc:groceries"},
    "bank.product_events": {"product_id": "card_debit", "event_type": "opened"},
    "campaign.interactions": {
        "campaign_id": "c",
        "product_id": "card_debit",
        "channel": "web",
        "event_type": "unsubscribed",
    },
    "digital.telemetry": {"session_id": "s", "event_type": "search", "query": "rate"},
    "recommendation.feedback": {"event_type": "complained", "channel": "mobile", "rec_id": "r"},
    "contact.suppressions": {"event_type": "channel_suppressed", "channel": "crm", "kind": "complaint"},
    "recommendation.exposures": {
        "rec_id": "r",
        "channel": "mobile",
        "kind": "product",
        "arm": "control",
        "variant": "personal",
        "tier": "personal",
        "policy_hash": "00",
        "items": [{"item_id": "card_debit", "position": 1, "tier": "personal", "score": 0.1, "propensity": 1.0}],
    },
}


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1_000


def event(topic: str, event_id: str, *, at: int, user_id: int = 7) -> dict[str, Any]:
    return {"event_id": event_id, "event_time": at, "user_id": user_id, **REST[topic]}


@dataclass(frozen=True)
class Bank:
    """One lake and consumer group on a broker; `settings` say where."""

    settings: Settings
    codec: Codec
    producer: Producer

    @classmethod
    def open(cls, address: str, folder: Path, **more: Any) -> "Bank":
        """All topics exist and are empty."""
        given = {"kafka_bootstrap": address, "lake": str(folder / "lake"), "kafka_group": f"land-{now()}", **more}
        settings = Settings(**given)
        ensure_topics(settings)
        _empty_topics(settings)
        return cls(settings, Codec(KeptSchemas()), Producer({"bootstrap.servers": address, "linger.ms": 5}))

    @property
    def lake(self) -> Path:
        return Path(self.settings.lake_uri)

    def send(self, topic: str, *events: Mapping[str, Any], **more: Any) -> None:
        for one in events:
            self.send_raw(topic, self.codec.encode(topic, one), key=str(one["user_id"]), **more)

    def send_raw(self, topic: str, *payloads: bytes | None, **more: Any) -> None:
        for payload in payloads:
            self.producer.produce(topic, payload, **more)
        assert self.producer.flush(30) == 0

    def land(self, **changes: Any) -> Landed:
        """As `recs land --once` does."""
        flushes: list[Landed] = []
        settings = self.settings.model_copy(update=changes)
        land(settings, once=True, is_stopped=lambda: False, tell=flushes.append)
        return total(flushes)

    def landed(self, topic: str) -> Counter[str]:
        """How often each event id lies in the folder of its topic."""
        return Counter(row["event_id"] for row in self.rows(f"landing/{topic}"))

    def rows(self, folder: str) -> Iterator[dict[str, Any]]:
        """Times in microseconds: Python has no year 300000."""
        for path in sorted((self.lake / folder).rglob("*.avro")):
            with path.open("rb") as file:
                blocks = fastavro.block_reader(file)
                schema = plain(blocks.metadata["avro.schema"])
                for block in blocks:
                    for _ in range(block.num_records):
                        yield fastavro.schemaless_reader(block.bytes_, schema, None)

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.lake)): path.read_bytes() for path in sorted(self.lake.rglob("*.avro"))}

    def environment(self) -> dict[str, str]:
        """For commands: these settings as variables."""
        given = self.settings.model_dump(exclude_unset=True, mode="json")
        return {**os.environ, **{f"RECS_{name.upper()}": str(value) for name, value in given.items()}}


def _empty_topics(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    there = admin.list_topics(timeout=10).topics
    names = [name for topic in TOPICS for name in (topic, topic + DEAD_LETTERS)]
    every = [TopicPartition(name, number, -1) for name in names for number in there[name].partitions]
    while every:  # a topic that was made just now has no leader yet
        results = admin.delete_records(every)
        every = [partition for partition, result in results.items() if result.exception() is not None]
