"""Dead letters looked at, and sent again to where they came from.

What was sent again is remembered as the committed offsets of a consumer group of its own, so that no letter goes twice
unless this is killed between sending and committing; then landing drops the second by its idempotency key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message, TopicPartition

from data_contracts.events import TOPICS, versions
from data_contracts.events.schemas import DEAD_LETTERS
from data_contracts.settings import Settings
from spark_jobs.landing.clients import send_all
from spark_jobs.landing.dead_letters import ATTEMPTS, ORIGIN, DeadLetter, once_each
from spark_jobs.landing.reading import from_beginning, messages, partitions, reader

GROUP_SUFFIX = "-dlq-replay"
_SECONDS = 30.0


@dataclass(frozen=True)
class Shown:
    letter: DeadLetter
    is_replayed: bool


def show(settings: Settings, topics: Sequence[str] = ()) -> list[Shown]:
    """Every dead letter of some topics (none named: of all), once each, in order of origin."""
    with reader(settings, group=settings.kafka_group + GROUP_SUFFIX) as client:
        committed = client.committed(partitions(client, _letters_of(topics)), timeout=_SECONDS)
        done = {(one.topic, one.partition): one.offset for one in committed}
        shown: dict[str, Shown] = {}
        for message in messages(client, [from_beginning(one) for one in committed]):
            letter = DeadLetter.read(message)
            is_replayed = (message.offset() or 0) < done[message.topic() or "", message.partition() or 0]
            shown[letter.origin] = Shown(letter, is_replayed)
        return sorted(shown.values(), key=lambda one: (one.letter.topic, one.letter.shard, one.letter.offset))


def replay(settings: Settings, topics: Sequence[str] = (), *, limit: int | None = None) -> list[DeadLetter]:
    """Send the dead letters that wait to their topics again, oldest first, at most `limit`; returns those it sent.

    Partition, payload, key, headers and time are as they first came. Whatever is undecodable still becomes a dead
    letter of the same origin again, one attempt more.
    """
    with reader(settings, group=settings.kafka_group + GROUP_SUFFIX) as client:
        committed = client.committed(partitions(client, _letters_of(topics)), timeout=_SECONDS)
        start = [one if one.offset >= 0 else from_beginning(one) for one in committed]
        read: list[Message] = []
        for message in messages(client, start):
            read.append(message)
            if limit is not None and len(read) >= limit:
                break
        letters = [letter for letter in once_each(map(DeadLetter.read, read)) if not letter.is_left_out]
        send_all(settings, map(_message, letters))
        if read:
            newest = {(one.topic(), one.partition()): (one.offset() or 0) + 1 for one in read}
            offsets = [TopicPartition(str(topic), number or 0, offset) for (topic, number), offset in newest.items()]
            client.commit(offsets=offsets, asynchronous=False)
        return letters


def _letters_of(topics: Sequence[str]) -> list[str]:
    """Raises InputError for a topic that nobody described."""
    return [versions(topic)[0].topic + DEAD_LETTERS for topic in topics or TOPICS]


def _message(letter: DeadLetter) -> dict[str, Any]:
    ours: list[tuple[str, str | bytes | None]] = [(ORIGIN, letter.origin), (ATTEMPTS, str(letter.attempts))]
    return {
        "topic": letter.topic,
        "value": letter.payload,
        "key": letter.key,
        "partition": letter.shard,
        "headers": [*letter.headers, *ours],
        "timestamp": max(letter.arrived, 0),
    }
