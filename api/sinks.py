"""Where the day's events go: Kafka or ClickHouse. Both block, and take the same event twice without harm.

Kafka's readers and ClickHouse's tables know an event by its `event_id`, so whoever delivers may deliver again.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer

from api.outbox import Entry
from data_contracts.errors import InputError, RecsError, UnavailableError
from data_contracts.events.codec import Codec
from data_contracts.events.registry import registry
from data_contracts.kafka import client_config, make_topics
from data_contracts.settings import Settings
from sql.client import Address, Store, connected
from sql.day_logs import DAY_LOGS, columns_of

FEEDBACK, EXPOSURES = "recommendation.feedback", "recommendation.exposures"

_SECONDS = 10.0


class Sink(Protocol):
    def deliver(self, entries: Sequence[Entry]) -> None:
        """All of them, or raise: UnavailableError for what may pass, InputError for an event nobody will take."""

    def close(self) -> None: ...


class ClickHouseSink:
    """Inserts into the table of a topic. Connects when there is something to say, anew after a failure."""

    def __init__(self, address: Address, topic: str) -> None:
        self._address = address
        self._log = DAY_LOGS[topic]
        self._lifetime = ExitStack()
        self._store: Store | None = None

    def deliver(self, entries: Sequence[Entry]) -> None:
        try:
            rows = columns_of(self._log, [orjson.loads(entry.event) for entry in entries])
        except (ValueError, TypeError, KeyError) as error:  # pyarrow's errors are among them
            raise InputError(f"{self._log.table}: an event does not fit the table: {error}") from error
        try:
            self._connected().insert(self._log.table, rows)
        except RecsError as error:
            # A table that is not there yet is no fault of the events.
            self.close()
            raise UnavailableError(str(error)) from error

    def close(self) -> None:
        self._store = None
        self._lifetime.close()

    def _connected(self) -> Store:
        if self._store is None:
            self._store = self._lifetime.enter_context(connected(self._address, timeout_seconds=int(_SECONDS)))
        return self._store


class KafkaSink:
    """Produces to a topic, which is made where it is missing; returns when every message is acknowledged."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._producer: Producer | None = None
        self._codec: Codec | None = None
        self._errors: list[KafkaError] = []

    def deliver(self, entries: Sequence[Entry]) -> None:
        try:
            producer, codec = self._connected()
            for entry in entries:
                event = orjson.loads(entry.event)
                producer.produce(
                    self._topic,
                    codec.encode(self._topic, event),
                    key=str(event["user_id"]),
                    timestamp=event["event_time"] // 1_000,
                    headers={"traceparent": entry.trace} if entry.trace else {},
                    on_delivery=self._note,
                )
            producer.flush(_SECONDS * 2)
            self._raise_for(producer)
        except (KafkaException, BufferError) as error:
            self.close()
            raise UnavailableError(f"Kafka at {self._settings.kafka_bootstrap} (RECS_KAFKA_BOOTSTRAP): {error}") from (
                error
            )

    def close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
        self._producer = None
        self._errors.clear()

    def _note(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._errors.append(error)

    def _raise_for(self, producer: Producer) -> None:
        if self._errors:
            raise KafkaException(self._errors[0])
        if len(producer):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def _connected(self) -> tuple[Producer, Codec]:
        if self._codec is None:
            self._codec = Codec(registry(self._settings))
        if self._producer is None:
            config = client_config(self._settings)
            make_topics(self._settings, [self._topic], seconds=_SECONDS)
            self._producer = Producer(
                {**config, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": int(_SECONDS * 1000)}
            )
        return self._producer, self._codec


class Both:
    """Delivered only when both have it."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def deliver(self, entries: Sequence[Entry]) -> None:
        for sink in self._sinks:
            sink.deliver(entries)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()


def sink_of(settings: Settings, topic: str) -> Sink:
    """As RECS_EVENTS_TO says. Exposures are in ClickHouse either way: explanations are read from there."""
    to_clickhouse = ClickHouseSink(Address.of(settings), topic)
    if settings.events_to == "clickhouse":
        return to_clickhouse
    to_kafka = KafkaSink(settings, topic)
    return Both(to_clickhouse, to_kafka) if topic == EXPOSURES else to_kafka
