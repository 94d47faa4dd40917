"""What landing needs of Kafka's clients, with their errors in our words."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from data_contracts.errors import UnavailableError
from data_contracts.events import TOPICS
from data_contracts.events.schemas import DEAD_LETTERS
from data_contracts.kafka import client_config, consumer_config, make_topics
from data_contracts.settings import Settings

_FLUSH_SECONDS = 30.0
_MOST_IN_FLIGHT = 10_000
# Undecodable messages may be as large as a broker lets them be.
_LARGEST = 16 * 2**20


def consumer(settings: Settings, *, group: str, **more: Any) -> Consumer:
    return Consumer({**consumer_config(settings, group=group), **more})


def producer(settings: Settings) -> Producer:
    """Idempotent: what it sends again after a lost answer is written once."""
    return Producer(
        {**client_config(settings), "enable.idempotence": True, "linger.ms": 50, "message.max.bytes": _LARGEST}
    )


def send_all(settings: Settings, messages: Iterable[Mapping[str, Any]]) -> None:
    """Produce these arguments of `Producer.produce`. Raises KafkaException when any was not written."""
    failed: list[KafkaError] = []
    sender = producer(settings)
    for message in messages:
        sender.produce(**message, on_delivery=lambda error, _: failed.append(error) if error is not None else None)
        if len(sender) > _MOST_IN_FLIGHT:
            sender.poll(0.1)
    waiting = sender.flush(_FLUSH_SECONDS)
    if failed:
        raise KafkaException(failed[0])
    if waiting:
        raise UnavailableError(f"Kafka at {settings.kafka_bootstrap} took none of {waiting} messages: try again")


def ensure_topics(settings: Settings) -> None:
    """Make the topics, and those of dead letters, that do not exist. Raises UnavailableError, when Kafka is, too."""
    with translated(settings):
        make_topics(settings, [*TOPICS, *(topic + DEAD_LETTERS for topic in TOPICS)])


@contextmanager
def translated(settings: Settings) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        told = error.args[0].str() if error.args and isinstance(error.args[0], KafkaError) else str(error)
        raise UnavailableError(f"Kafka at {settings.kafka_bootstrap} (RECS_KAFKA_BOOTSTRAP): {told}") from error
