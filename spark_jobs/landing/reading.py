"""Topics read from end to end, by a consumer that chooses its partitions itself."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from data_contracts.settings import Settings
from spark_jobs.landing.clients import consumer, translated

_ALIVE_SECONDS = 5.0
_POLL_SECONDS = 0.2


@contextmanager
def reader(settings: Settings, *, group: str) -> Iterator[Consumer]:
    """Knows the offsets that `group` committed. Raises UnavailableError when Kafka is."""
    # At the end of a partition the broker need not wait for more.
    client = consumer(settings, group=group, **{"enable.partition.eof": True, "fetch.wait.max.ms": 10})
    try:
        with translated(settings):
            yield client
    finally:
        client.close()


def partitions(client: Consumer, topics: Collection[str]) -> list[TopicPartition]:
    """Of those topics that exist."""
    there = client.list_topics(timeout=_ALIVE_SECONDS).topics
    return [TopicPartition(name, number) for name in sorted({*topics} & {*there}) for number in there[name].partitions]


def from_beginning(partition: TopicPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition, OFFSET_BEGINNING)


def messages(client: Consumer, start: Sequence[TopicPartition]) -> Iterator[Message]:
    """Everything from these offsets to the present ends."""
    client.assign(list(start))
    waiting = len(start)
    while waiting:
        # What is here already; else as many as are sure to come, one end a partition: more would be waited for.
        for message in client.consume(500, 0) or client.consume(waiting, _POLL_SECONDS):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                waiting -= 1
            elif error.fatal():
                raise KafkaException(error)
