"""The consumer: messages in, batches of files out, offsets committed once the files are durable."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from data_contracts.events import TOPICS, newest
from data_contracts.events.codec import Codec, UndecodableError
from data_contracts.events.registry import Registry
from data_contracts.kafka import arrived, behind
from data_contracts.settings import Settings
from spark_jobs.landing.batches import Batch, Batches, Landed, Rows
from spark_jobs.landing.clients import consumer, producer
from spark_jobs.landing.dead_letters import DeadLetterWriter
from spark_jobs.landing.files import ARRIVED, REJECTED, FencedError, LandedFiles, SeenKeys, Shard, avro_file
from spark_jobs.landing.routing import QUARANTINE, Router

_log = logging.getLogger(__name__)
_FETCH = 5_000
_POLL_SECONDS = 0.2
_SECONDS = 30.0
# A batch also ends here, so that huge messages do not fill the memory.
_BATCH_BYTES = 64 * 2**20
# Kafka's ways to say that the partitions are somebody else's by now.
_FENCED = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError._ASSIGNMENT_LOST,
}
# Of all else the client recovers by itself.
_HOPELESS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}


class Lander:
    """One member of the consumer group, while the `with` block lasts. `tell` is called after every flush."""

    def __init__(self, settings: Settings, registry: Registry, *, tell: Callable[[Landed], None]) -> None:
        self.codec = Codec(registry)
        self._settings = settings
        self._tell = tell
        self._files = LandedFiles(settings.lake_uri, settings.kafka_group)
        self._seen = SeenKeys(self._files)
        self._dead = DeadLetterWriter(lambda: producer(settings))
        self._router = Router(settings.timezone, settings.late_event_days, settings.clock_skew_seconds)
        self._names = {topic: (newest(topic).idempotency_key, newest(topic).event_time) for topic in TOPICS}
        # Whoever lands once waits for the ends, of which the broker tells as soon as it need not wait for more.
        told = {"enable.partition.eof": True, "fetch.wait.max.ms": 100}
        self._consumer: Consumer = consumer(settings, group=settings.kafka_group, **told)
        self._batches = Batches()
        self._assigned: set[Shard] | None = None  # None while partitions change hands
        self._ended: set[Shard] = set()

    def __enter__(self) -> "Lander":
        told = {"on_assign": self._on_assign, "on_revoke": self._on_revoke, "on_lost": self._on_lost}
        self._consumer.subscribe(list(TOPICS), **told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batches = Batches()  # after an error, leaving the group must not flush again
        self._consumer.close()

    def run(self, *, is_stopped: Callable[[], bool], once: bool) -> None:
        """Until told to stop or, with `once`, until it has seen the end of each of its partitions; flushed at the end.

        Raises FencedError, KafkaException, and what reading schemas and writing files raises.
        """
        while not is_stopped() and not (once and self._is_drained()):
            for message in self._consumer.consume(_FETCH, _POLL_SECONDS):
                self._take(message)
            if self._is_due():
                self._flush()
        self._flush()

    def _is_drained(self) -> bool:
        return self._assigned is not None and self._assigned <= self._ended

    def _is_due(self) -> bool:
        read = self._batches
        is_full = read.messages >= self._settings.landing_batch_events or read.bytes >= _BATCH_BYTES
        return is_full or time.monotonic() - read.since >= self._settings.landing_flush_seconds

    def _take(self, message: Message) -> None:
        error = message.error()
        shard = Shard(message.topic() or "", message.partition() or 0)
        if error is not None:
            self._take_error(shard, error)
        elif self._assigned is not None and shard in self._assigned:
            batch = self._batches.read(shard, message.offset() or 0, len(message))
            try:
                self._put(batch, shard.topic, self.codec.decode(shard.topic, message.value()), message)
            except UndecodableError as why:
                self._dead.write(message, str(why))
                self._batches.dead[str(why)] += 1

    def _take_error(self, shard: Shard, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended.add(shard)
        elif error.fatal() or error.code() in _HOPELESS:
            raise KafkaException(error)
        else:
            _log.warning("Kafka: %s", error.str())

    def _put(self, batch: Batch, topic: str, event: dict[str, Any], message: Message) -> None:
        key_name, time_name = self._names[topic]
        key = event[key_name]
        if not key:
            raise UndecodableError(f"{key_name} is empty")
        came = arrived(message, now=time.time_ns() // 1_000)
        place = self._router.place(topic, event[time_name], came)
        if place.reason:
            event |= {REJECTED: place.reason, ARRIVED: came}
        batch.put(place.folder, key, event)

    def _flush(self) -> None:
        """Stage, send dead letters, commit, publish: in this order nothing is lost and nothing doubled."""
        batches, self._batches = self._batches, Batches()
        if not batches.by_shard:
            return
        flush = uuid4().hex
        fresh = {shard: self._fresh(shard, batch) for shard, batch in batches.by_shard.items()}
        try:
            for shard, rows in fresh.items():
                name = f"{shard.prefix}{batches.by_shard[shard].first_offset:020d}-{flush[:8]}.avro"
                self._files.stage(shard, flush, {f"{folder}/{name}": _file(shard, folder, rows) for folder in rows})
            self._dead.flush()
            self._commit(batches.by_shard, {shard for shard, rows in fresh.items() if rows}, flush)
        except FencedError:
            for shard in fresh:
                self._files.discard(shard, flush)
            raise
        for shard, rows in fresh.items():
            self._files.publish(shard, flush)
            for folder, events in rows.items():
                self._seen.add(shard, folder, events)
        offsets = {(shard.topic, shard.partition): batch.next_offset for shard, batch in batches.by_shard.items()}
        self._tell(Landed.of(batches, fresh, behind=behind(self._consumer, offsets)))

    def _fresh(self, shard: Shard, batch: Batch) -> Rows:
        """What has not landed before."""
        left = {}
        for folder, events in batch.rows.items():
            seen = self._seen.of(shard, folder)
            new = {key: event for key, event in events.items() if key not in seen}
            if new:
                left[folder] = new
        return left

    def _commit(self, batches: Mapping[Shard, Batch], staged: set[Shard], flush: str) -> None:
        offsets = [
            TopicPartition(shard.topic, shard.partition, batch.next_offset, metadata=flush if shard in staged else "")
            for shard, batch in batches.items()
        ]
        try:
            committed = self._consumer.commit(offsets=offsets, asynchronous=False)
            errors = [one.error for one in committed or () if one.error is not None]
        except KafkaException as error:
            errors = [error.args[0]]
        if any(one.code() in _FENCED for one in errors):
            raise FencedError(errors[0].str())
        if errors:
            raise KafkaException(errors[0])

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish what the last owner committed, before anything new is read; reading starts at what is committed."""
        for partition in self._consumer.committed(partitions, timeout=_SECONDS) if partitions else ():
            if partition.error is not None:
                raise KafkaException(partition.error)
            self._files.recover(Shard(partition.topic, partition.partition), partition.metadata or "")
        self._seen.forget()
        self._ended = set()
        self._assigned = {Shard(partition.topic, partition.partition) for partition in partitions}

    def _on_revoke(self, _: Consumer, __: list[TopicPartition]) -> None:
        with contextlib.suppress(FencedError):
            self._flush()
        self._assigned = None

    def _on_lost(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._batches = Batches()
        self._assigned = None


def _file(shard: Shard, folder: str, rows: Rows) -> bytes:
    is_quarantined = folder.startswith(QUARANTINE)
    return avro_file(shard.topic, list(rows[folder].values()), is_quarantined=is_quarantined)
