"""What landing needs of Kafka's clients, with their errors in our words."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from data_contracts.errors import UnavailableError
from data_contracts.events import TOPICS
from data_contracts.events.schemas import DEAD_LETTERS
from data_contracts.kafka import client_config
from data_contracts.settings import Settings

_log = logging.getLogger(__name__)
_SECONDS = 10.0
# Undecodable messages may be as large as a broker lets them be.
_LARGEST = 16 * 2**20


def consumer(settings: Settings, *, group: str, **more: Any) -> Consumer:
    return Consumer(
        {
            **client_config(settings),
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "error_cb": _tell_when_away,
            "session.timeout.ms": int(settings.kafka_session_seconds * 1000),
            "heartbeat.interval.ms": int(settings.kafka_session_seconds * 1000 / 6),
            **more,
        }
    )


def _tell_when_away(error: KafkaError) -> None:
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        _log.warning("Kafka does not answer, trying again: %s", error.str())


def producer(settings: Settings) -> Producer:
    """Idempotent: what it sends again after a lost answer is written once."""
    return Producer(
        {**client_config(settings), "enable.idempotence": True, "linger.ms": 50, "message.max.bytes": _LARGEST}
    )


def ensure_topics(settings: Settings) -> None:
    """Make the topics, and those of dead letters, that do not exist. Raises UnavailableError, when Kafka is, too."""
    admin = AdminClient(client_config(settings))
    with translated(settings):
        there = set(admin.list_topics(timeout=_SECONDS).topics)
        wanted = [*TOPICS, *(topic + DEAD_LETTERS for topic in TOPICS)]
        missing = [NewTopic(topic) for topic in wanted if topic not in there]
        for made in admin.create_topics(missing).values() if missing else ():
            _ignoring_existing(made.result)


def _ignoring_existing(result: Any) -> None:
    try:
        result(_SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


@contextmanager
def translated(settings: Settings) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        told = error.args[0].str() if error.args and isinstance(error.args[0], KafkaError) else str(error)
        raise UnavailableError(f"Kafka at {settings.kafka_bootstrap} (RECS_KAFKA_BOOTSTRAP): {told}") from error
