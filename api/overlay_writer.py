"""Streamed events from Kafka into ClickHouse, in small batches, so that answers know of them within a second.

At least once: offsets are committed after the insert, and what is read again after a crash merges with its first copy
by idempotency key. While ClickHouse or the schema registry is away a batch waits, and with it its partitions; the
consumer stays in its group meanwhile.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from api.logs import TRACE
from api.traces import Traces, given_traceparent, trace_of
from data_contracts.columns import USER_ID
from data_contracts.errors import UnavailableError
from data_contracts.events.codec import Codec, UndecodableError
from data_contracts.events.registry import Registry
from data_contracts.kafka import arrived, behind, consumer_config
from data_contracts.overlay import TOPICS, EventRow, row_of
from data_contracts.settings import Settings

_LOG = logging.getLogger("recs.overlay")
_RETRY_SECONDS = 0.5
_BEAT_SECONDS = 1.0


@dataclass(frozen=True)
class Stored:
    """What one batch came to, in events; `seconds` from the oldest message's arrival in Kafka until it was stored.

    `unneeded`: no rule asks for them, or no longer. `behind`: messages that wait in the partitions of the batch.
    """

    stored: int
    unneeded: int
    undecodable: int
    behind: int
    seconds: float


@dataclass
class _Batch:
    rows: list[EventRow] = field(default_factory=list)
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    oldest: int = 2**63 - 1  # milliseconds


class OverlayWriter:
    """Runs until told to stop. `put` stores a batch and raises UnavailableError when it cannot now; so does `beat`,
    which tells with the lag, in seconds, that all is well: events are read, and can be stored.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        *,
        put: Callable[[Sequence[EventRow]], None],
        beat: Callable[[float], None],
        tell: Callable[[Stored], None],
        traces: Traces,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._codec = Codec(registry)
        self._put = put
        self._beat = beat
        self._next_beat, self._lag = -math.inf, 0.0
        self._tell = tell
        self._traces = traces
        self._is_stopped = is_stopped
        self._skew = settings.clock_skew_seconds * 1_000_000
        self._is_away = False
        self._undecodable_told = 0

    def run(self) -> None:
        """Raises KafkaException for what no waiting mends, such as a refused password."""
        with self._subscribed() as consumer:
            while not self._is_stopped():
                messages = consumer.consume(self._settings.overlay_batch_events, self._settings.overlay_flush_seconds)
                if messages:
                    with self._traced(messages):
                        self._store(consumer, messages)
                self._live(consumer)

    @contextmanager
    def _traced(self, messages: Sequence[Message]) -> Iterator[None]:
        """What is logged within tells the trace of the batch: that of its first sender, else a new one."""
        sent = list(traceparents(messages))
        with self._traces.batch("store events", sent) as span:
            token = TRACE.set(trace_of(span, next(iter(sent), "")))
            try:
                yield
            finally:
                TRACE.reset(token)

    def _live(self, consumer: Consumer) -> None:
        """A sign of life, unless Kafka or ClickHouse is away, or the partitions are all with other writers."""
        if time.monotonic() < self._next_beat or not consumer.assignment():
            return
        try:
            consumer.list_topics(TOPICS[0], timeout=_BEAT_SECONDS)
            self._beat(self._lag)
        except (KafkaException, UnavailableError) as error:
            _LOG.debug("no sign of life: %s", error)
        self._next_beat = time.monotonic() + _BEAT_SECONDS

    @contextmanager
    def _subscribed(self) -> Iterator[Consumer]:
        consumer = _consumer(self._settings)
        try:
            consumer.subscribe(list(TOPICS))
            yield consumer
        finally:
            consumer.close()

    def _store(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        """All of them, or on a stop none: what is not committed is read again."""
        batch, waiting = _Batch(), list(messages)
        if not self._until_possible(consumer, waiting, lambda: self._read(batch, waiting)):
            return
        if batch.rows and not self._until_possible(consumer, waiting, lambda: self._put(batch.rows)):
            return
        _commit(consumer, batch)
        if batch.next_offsets:
            self._told(batch, behind(consumer, batch.next_offsets))
        if waiting:  # what came in while nothing could be stored
            self._store(consumer, waiting)

    def _told(self, batch: _Batch, waiting: int) -> None:
        seconds = max(0.0, time.time() - batch.oldest / 1_000)
        self._lag = seconds if waiting else 0.0
        self._tell(
            Stored(
                stored=len(batch.rows),
                unneeded=batch.counts["unneeded"],
                undecodable=batch.counts["undecodable"],
                behind=waiting,
                seconds=seconds,
            )
        )

    def _read(self, batch: _Batch, waiting: list[Message]) -> None:
        """Move what waits into the batch; safe to call again where it raised."""
        while waiting:
            self._take(batch, waiting[0])
            del waiting[0]

    def _take(self, batch: _Batch, message: Message) -> None:
        if (error := message.error()) is not None:
            if error.fatal():
                raise KafkaException(error)
            _LOG.warning("Kafka: %s", error.str())
            return
        topic, partition, offset = str(message.topic()), message.partition() or 0, message.offset() or 0
        try:
            row = self._row(topic, message)
        except UndecodableError as reason:
            batch.counts["undecodable"] += 1
            self._tell_undecodable(f"{topic}/{partition}/{offset}", reason)
        else:
            if row is None:
                batch.counts["unneeded"] += 1
            else:
                batch.rows.append(row)
                batch.oldest = min(batch.oldest, message.timestamp()[1])
        batch.next_offsets[topic, partition] = offset + 1

    def _row(self, topic: str, message: Message) -> EventRow | None:
        event: dict[str, Any] = self._codec.decode(topic, message.value())
        if event[USER_ID] < 0:
            raise UndecodableError("its user_id is negative")
        now = time.time_ns() // 1_000
        row = row_of(topic, event, arrived=arrived(message, now=now), skew=self._skew)
        if row is not None and not row.event_id:
            raise UndecodableError("its idempotency key is empty")
        # Replayed long after: nobody needs it any more.
        return None if row is None or row.expires_at * 1_000_000 <= now else row

    def _tell_undecodable(self, place: str, reason: UndecodableError) -> None:
        """At powers of two: `recs land` keeps every one in the dead letters."""
        self._undecodable_told += 1
        if self._undecodable_told & (self._undecodable_told - 1) == 0:
            _LOG.warning("%s skipped, the %d. so: %s", place, self._undecodable_told, reason)

    def _until_possible(self, consumer: Consumer, waiting: list[Message], act: Callable[[], None]) -> bool:
        """Try until it works; False when told to stop before. The consumer is polled, so that its group keeps it.

        Partitions are paused, but some that are assigned meanwhile are not: their messages join those that wait.
        """
        while True:
            try:
                act()
            except UnavailableError as error:
                self._tell_away(str(error))
            else:
                self._tell_away("")
                return True
            if self._is_stopped():
                return False
            partitions = consumer.assignment()
            consumer.pause(partitions)
            message = consumer.poll(_RETRY_SECONDS)
            if message is not None:
                waiting.append(message)
            consumer.resume(consumer.assignment())

    def _tell_away(self, why: str) -> None:
        if bool(why) != self._is_away:
            _LOG.warning("%s", f"{why}; trying again" if why else "events are stored again")
        self._is_away = bool(why)


def traceparents(messages: Iterable[Message]) -> Iterator[str]:
    """Of the requests that sent them, where those are traced."""
    for message in messages:
        headers: Any = message.headers()
        for name, value in headers or ():
            if name == "traceparent" and isinstance(value, bytes):
                yield from filter(None, [given_traceparent(value.decode("ascii", "replace"))])


def _consumer(settings: Settings) -> Consumer:
    """Nothing is lost before its first commit; what is too old for any rule is passed over quickly."""
    return Consumer({**consumer_config(settings, group=settings.overlay_group), "fetch.wait.max.ms": 100})


def _commit(consumer: Consumer, batch: _Batch) -> None:
    """Only of partitions that are still ours: another owner's place must not be moved."""
    ours = {(one.topic, one.partition) for one in consumer.assignment()}
    offsets = [TopicPartition(*place, offset) for place, offset in batch.next_offsets.items() if place in ours]
    if not offsets:
        return
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as error:
        # They are read again, and merge with what has just been stored.
        _LOG.warning("offsets were not committed: %s", error.args[0].str())
