"""Sends a sample world's bank events to Kafka, stamped with the time at which they happened."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import KafkaError, KafkaException

from data_contracts.errors import InputError
from data_contracts.events import newest
from data_contracts.events.codec import Codec
from data_contracts.events.registry import registry
from data_contracts.settings import Settings
from infra.local.world.avro import TOPICS
from spark_jobs.landing.clients import ensure_topics, producer, translated

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = 60.0


def produce_events(settings: Settings, events: Path, topics: Sequence[str] = (), *, day: date | None) -> dict[str, int]:
    """Messages sent by topic. Raises InputError when the world has no such topic or day, UnavailableError as Kafka."""
    ensure_topics(settings)
    codec, failed = Codec(registry(settings)), list[KafkaError]()
    sent: dict[str, int] = {}
    with translated(settings):
        sender = producer(settings)
        for topic in topics or TOPICS:
            files = sorted((events / topic).glob(f"{day or '*'}/*/*.avro"))
            if not files:
                raise InputError(f"{events / topic}: no events{f' of {day}' if day else ''}")
            sent[topic] = 0
            for event in _events(files):
                while len(sender) > 50_000:
                    sender.poll(0.1)
                sender.produce(
                    topic,
                    codec.encode(topic, event),
                    key=str(event["user_id"]),
                    timestamp=_milliseconds(event[newest(topic).event_time]),
                    on_delivery=lambda error, _: failed.append(error) if error is not None else None,
                )
                sent[topic] += 1
        sender.flush(_SECONDS)
        if failed or len(sender):
            raise KafkaException(failed[0] if failed else KafkaError(KafkaError._TIMED_OUT))
    return sent


def _events(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        with path.open("rb") as file:
            yield from fastavro.reader(file)  # type: ignore[misc]


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
