"""How Kafka is reached: the one place that turns settings into a client's configuration, and what its readers share."""

import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from data_contracts.errors import UnavailableError
from data_contracts.settings import Settings

_LOG = logging.getLogger("recs.kafka")
_SECONDS = 10.0
_REASONS = {
    KafkaError._ALL_BROKERS_DOWN: "does not answer",
    KafkaError._AUTHENTICATION: "refuses RECS_KAFKA_USER or its password",
    KafkaError._SSL: "and we do not trust each other (RECS_KAFKA_CA_FILE)",
}


def client_config(settings: Settings) -> dict[str, Any]:
    """For any client of confluent-kafka; encrypted and authenticated where a user is given."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": "recs",
        # The client writes a line for each attempt to connect, many a second: what matters is raised or logged by us.
        "log_level": 2,
        "reconnect.backoff.ms": 500,
        "error_cb": _tell_why_not,
    }
    if settings.kafka_user:
        config |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": settings.kafka_mechanism,
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
        "session.timeout.ms": int(settings.kafka_session_seconds * 1000),
        "heartbeat.interval.ms": int(settings.kafka_session_seconds * 1000 / 6),
    }


def _tell_why_not(error: KafkaError) -> None:
    """Clients try again by themselves and raise only that nobody answered: why is told here."""
    if error.code() in _REASONS:
        _LOG.warning("Kafka %s, trying again: %s", _REASONS[error.code()], error.str())


def topics_there(admin: AdminClient, *, seconds: float = _SECONDS) -> Mapping[str, Any]:
    """Topics by name, as `list_topics` describes them. Raises KafkaException, and has told why by then."""
    try:
        topics: Mapping[str, Any] = admin.list_topics(timeout=seconds).topics
    except KafkaException:
        admin.poll(0)
        raise
    return topics


def make_topics(settings: Settings, topics: Iterable[str], *, seconds: float = _SECONDS) -> None:
    """Make those that are not there, as the broker makes them by default; every client sees them then. Waits so many
    seconds for an answer.

    A broker that asks who we are is no embedded one: there `recs topics --apply` makes them as they are defined.
    Raises UnavailableError until it has; KafkaException.
    """
    admin, wanted = AdminClient(client_config(settings)), set(topics)
    missing = wanted - set(topics_there(admin, seconds=seconds))
    if missing and settings.kafka_user:
        raise UnavailableError(f"Kafka has no topics {', '.join(sorted(missing))}: run recs topics --apply")
    for made in admin.create_topics([NewTopic(topic) for topic in sorted(missing)]).values() if missing else ():
        _ignoring_existing(made.result)
    # The broker says yes before every client sees the topic.
    deadline = time.monotonic() + _SECONDS
    while missing - set(topics_there(admin)) and time.monotonic() < deadline:
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
