"""Messages that are no events: kept in `<topic>.dlq` as they came, with where they came from and what is wrong.

A dead letter is known by its origin, `topic/partition/offset` of the first time it came, so one that was written twice
(a consumer killed between this and its commit) counts once.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from data_contracts.events.schemas import DEAD_LETTERS

ORIGIN, REASON, ATTEMPTS, KEY, LEFT_OUT = "dlq.origin", "dlq.reason", "dlq.attempts", "dlq.key", "dlq.left-out"
_OURS = "dlq."
_DIGITS = 10
_MOST_IN_FLIGHT = 10_000
_ORIGIN = re.compile(r"(.+)/(\d{1,9})/(\d{1,18})")
_FLUSH_SECONDS = 60.0


@dataclass(frozen=True)
class DeadLetter:
    """One message of a `.dlq` topic: `topic`, `shard` (its partition) and `offset` are its origin.

    `key` and `payload` are as they first came; `payload` is missing where `is_left_out`, because it was too large.
    """

    topic: str
    shard: int
    offset: int
    reason: str
    attempts: int
    arrived: int  # milliseconds since 1970
    key: bytes | None
    payload: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    is_left_out: bool

    @property
    def origin(self) -> str:
        return f"{self.topic}/{self.shard}/{self.offset}"

    @classmethod
    def read(cls, message: Message) -> "DeadLetter":
        headers = _headers(message)
        ours = {name: value.decode(errors="replace") for name, value in headers if name.startswith(_OURS)}
        raw = dict(headers)
        topic = str(message.topic()).removesuffix(DEAD_LETTERS)
        origin = _ORIGIN.fullmatch(ours.get(ORIGIN, ""))
        is_ours = origin is not None and origin[1] == topic
        return cls(
            topic=topic,
            shard=int(origin[2]) if origin and is_ours else message.partition() or 0,
            offset=int(origin[3]) if origin and is_ours else message.offset() or 0,
            reason=ours.get(REASON, "unknown"),
            attempts=_count(raw.get(ATTEMPTS)),
            arrived=message.timestamp()[1],
            key=raw.get(KEY),
            payload=message.value(),
            headers=tuple((name, value) for name, value in headers if not name.startswith(_OURS)),
            is_left_out=LEFT_OUT in ours,
        )


class DeadLetterWriter:
    """Collects failures of delivery; `flush` raises them, so that nothing is committed that was not written."""

    def __init__(self, connect: Callable[[], Producer]) -> None:
        self._connect = connect
        self._errors: list[KafkaError] = []

    def write(self, message: Message, reason: str) -> None:
        """Only a replay may tell an origin, and it sends to where the message first came: a forged one is ignored."""
        headers = dict(_headers(message))
        place = f"{message.topic()}/{message.partition()}/"
        told = headers.get(ORIGIN, b"")
        is_replayed = told.startswith(place.encode()) and told[len(place) :].isdigit()
        ours: dict[str, bytes | None] = {
            ORIGIN: told if is_replayed else f"{place}{message.offset()}".encode(),
            REASON: reason.encode(),
            ATTEMPTS: str(_count(headers.get(ATTEMPTS)) + 1 if is_replayed else 1).encode(),
            **({KEY: message.key()} if message.key() is not None else {}),
        }
        theirs = {name: value for name, value in headers.items() if not name.startswith(_OURS)}
        self._send(message, {**theirs, **ours}, message.value())
        while len(self._producer) > _MOST_IN_FLIGHT:
            self._producer.poll(0.1)

    @cached_property
    def _producer(self) -> Producer:
        """Made with the first dead letter: most consumers never see one."""
        return self._connect()

    def flush(self) -> None:
        """Raises KafkaException when any was not written."""
        if "_producer" not in vars(self):
            return
        self._producer.flush(_FLUSH_SECONDS)
        if len(self._producer):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if self._errors:
            raise KafkaException(self._errors.pop())

    def _send(self, message: Message, headers: dict[str, str | bytes | None], payload: bytes | None) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                return
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and payload is not None:
                # With its headers it no longer fits: the origin says where the whole of it is.
                self._send(message, {**headers, LEFT_OUT: b"1"}, None)
            else:
                self._errors.append(error)

        topic = f"{message.topic()}{DEAD_LETTERS}"
        arrived = max(message.timestamp()[1], 0)
        self._producer.produce(
            topic, payload, key=headers[ORIGIN], headers=headers, timestamp=arrived, on_delivery=delivered
        )


def _count(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) < _DIGITS else 1


def once_each(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """The newest of each origin, in the order in which origins first came."""
    return list({letter.origin: letter for letter in letters}.values())


def _headers(message: Message) -> list[tuple[str, bytes]]:
    headers: Iterable[tuple[str, bytes | None]] = message.headers() or ()  # type: ignore[assignment]
    return [(name, value or b"") for name, value in headers]
