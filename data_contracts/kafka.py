"""How Kafka is reached: the one place that turns settings into a client's configuration, and what its readers share."""

import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from data_contracts.settings import Settings

_LOG = logging.getLogger("recs.kafka")
_SECONDS = 10.0


def client_config(settings: Settings) -> dict[str, Any]:
    """For any client of confluent-kafka; encrypted and authenticated where a user is given."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": "recs",
        # The client writes a line for each attempt to connect, many a second: what matters is raised or logged by us.
        "log_level": 2,
        "reconnect.backoff.ms": 500,
    }
    if settings.kafka_user:
        config |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": settings.kafka_user,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    if settings.kafka_ca_file:
        config["ssl.ca.location"] = str(settings.kafka_ca_file)
    return config


def consumer_config(settings: Settings, *, group: str) -> dict[str, Any]:
    """For a consumer that reads what was committed by its producers, from the oldest, and commits by itself."""
    return {
        **client_config(settings),
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "error_cb": _tell_when_away,
        "session.timeout.ms": int(settings.kafka_session_seconds * 1000),
        "heartbeat.interval.ms": int(settings.kafka_session_seconds * 1000 / 6),
    }


def _tell_when_away(error: KafkaError) -> None:
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        _LOG.warning("Kafka does not answer, trying again: %s", error.str())


def make_topics(settings: Settings, topics: Iterable[str]) -> None:
    """Make those that are not there; every client sees them then. Raises KafkaException."""
    admin, wanted = AdminClient(client_config(settings)), set(topics)
    missing = wanted - set(admin.list_topics(timeout=_SECONDS).topics)
    for made in admin.create_topics([NewTopic(topic) for topic in sorted(missing)]).values() if missing else ():
        _ignoring_existing(made.result)
    # The broker says yes before every client sees the topic.
    deadline = time.monotonic() + _SECONDS
    while missing - set(admin.list_topics(timeout=_SECONDS).topics) and time.monotonic() < deadline:
        time.sleep(0.1)


def _ignoring_existing(result: Any) -> None:
    try:
        result(_SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def arrived(message: Message, *, now: int) -> int:
    """When a message came, in microseconds as `now`: a producer whose clock runs ahead must not vouch for its own."""
    stamped = message.timestamp()[1] * 1_000
    return min(stamped, now) if stamped > 0 else now


def behind(consumer: Consumer, next_offsets: Mapping[tuple[str, int], int]) -> int:
    """Messages that wait from these offsets on, by topic and partition, as far as the client has heard."""
    waiting = 0
    for place, offset in next_offsets.items():
        with contextlib.suppress(KafkaException):
            _, high = consumer.get_watermark_offsets(TopicPartition(*place), cached=True) or (0, 0)
            waiting += max(high - offset, 0)
    return waiting
