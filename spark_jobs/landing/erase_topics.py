"""Taking a person out of Kafka, which deletes only from the oldest message on.

A topic that tells of the person is emptied of what has landed, for every reader; the lake keeps the events of all
others. Of dead letters those that nobody replayed yet, and that are not the person's, are written again first; killed
in between, a letter is there twice and still counts once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from data_contracts.columns import USER_ID
from data_contracts.events import TOPICS
from data_contracts.events.codec import Codec, UndecodableError
from data_contracts.events.registry import registry
from data_contracts.events.schemas import DEAD_LETTERS
from data_contracts.kafka import client_config
from data_contracts.settings import Settings
from spark_jobs.landing.clients import send_all, translated
from spark_jobs.landing.dead_letters import DeadLetter
from spark_jobs.landing.reading import from_beginning, messages, partitions, reader
from spark_jobs.landing.replay import GROUP_SUFFIX

_SECONDS = 60.0


@dataclass(frozen=True)
class TopicErased:
    """Messages of the person in a topic before and after. What is left has not landed yet."""

    topic: str
    found: int
    left: int


def erase_from_topics(settings: Settings, user_id: int) -> list[TopicErased]:
    """Of every topic of events and of dead letters that exists. Safe to run again. Raises UnavailableError."""
    finder = _Finder(Codec(registry(settings)), user_id)
    erased = []
    for topic in TOPICS:
        erased.append(_erase_events(settings, topic, finder))
        erased.append(_erase_letters(settings, topic + DEAD_LETTERS, finder))
    return erased


@dataclass(frozen=True)
class _Finder:
    codec: Codec
    user_id: int

    def tells(self, message: Message) -> bool:
        """Whether a message, or a dead letter, is about the person; of what cannot be read, whether it holds the id."""
        topic, key, payload = str(message.topic()), message.key(), message.value()
        if topic.endswith(DEAD_LETTERS):
            letter = DeadLetter.read(message)
            topic, key, payload = letter.topic, letter.key, letter.payload
        digits = str(self.user_id).encode()
        try:
            return bool(self.codec.decode(topic, payload)[USER_ID] == self.user_id) or key == digits
        except UndecodableError:
            return digits in (payload or b"") or key == digits


def _erase_events(settings: Settings, topic: str, finder: _Finder) -> TopicErased:
    with reader(settings, group=settings.kafka_group) as client:
        found = sum(map(finder.tells, _all(client, topic)))
        if found:
            landed = client.committed(partitions(client, [topic]), timeout=_SECONDS)
            _empty(settings, [one for one in landed if one.offset > 0])
        return TopicErased(topic, found, sum(map(finder.tells, _all(client, topic))) if found else 0)


def _erase_letters(settings: Settings, topic: str, finder: _Finder) -> TopicErased:
    with reader(settings, group=settings.kafka_group + GROUP_SUFFIX) as client:
        every = list(_all(client, topic))
        found = sum(map(finder.tells, every))
        if found:
            replayed = client.committed(partitions(client, [topic]), timeout=_SECONDS)
            done = {one.partition: one.offset for one in replayed}
            kept = [one for one in every if _offset(one) >= done[one.partition() or 0] and not finder.tells(one)]
            send_all(settings, map(_copy, kept))
            ends = {one.partition(): _offset(one) + 1 for one in every}
            _empty(settings, [TopicPartition(topic, number or 0, end) for number, end in ends.items()])
        return TopicErased(topic, found, sum(map(finder.tells, _all(client, topic))) if found else 0)


def _all(client: Consumer, topic: str) -> Iterator[Message]:
    return messages(client, [from_beginning(one) for one in partitions(client, [topic])])


def _offset(message: Message) -> int:
    return message.offset() or 0


def _copy(letter: Message) -> dict[str, Any]:
    return {
        "topic": str(letter.topic()),
        "value": letter.value(),
        "key": letter.key(),
        "headers": letter.headers(),
        "timestamp": max(letter.timestamp()[1], 0),
    }


def _empty(settings: Settings, up_to: Sequence[TopicPartition]) -> None:
    """Delete what lies before these offsets."""
    if not up_to:
        return
    admin = AdminClient(client_config(settings))
    with translated(settings):
        for deleted in admin.delete_records(list(up_to)).values():
            deleted.result(_SECONDS)
