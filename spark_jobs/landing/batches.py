"""What was read since the last flush, partition by partition, and what a flush made of it. Pure."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spark_jobs.landing.files import REJECTED, Shard

Event = dict[str, Any]
# Rows by folder, then by idempotency key.
Rows = Mapping[str, Mapping[str, Event]]


@dataclass
class Batch:
    """Of one partition: the events read, each key once a folder, and where to read on."""

    first_offset: int
    next_offset: int
    good: int = 0  # events that were put, repetitions too
    rows: dict[str, dict[str, Event]] = field(default_factory=lambda: defaultdict(dict))

    def put(self, folder: str, key: str, event: Event) -> None:
        self.good += 1
        self.rows[folder].setdefault(key, event)


@dataclass
class Batches:
    by_shard: dict[Shard, Batch] = field(default_factory=dict)
    messages: int = 0
    bytes: int = 0
    dead: Counter[str] = field(default_factory=Counter)  # by reason
    since: float = field(default_factory=time.monotonic)

    def read(self, shard: Shard, offset: int, size: int) -> Batch:
        """Count a message and return the batch that it is for."""
        self.messages += 1
        self.bytes += size
        batch = self.by_shard.get(shard)
        if batch is None:
            batch = self.by_shard[shard] = Batch(offset, offset + 1)
        batch.next_offset = offset + 1
        return batch


@dataclass(frozen=True)
class Landed:
    """What a flush did, in events; `behind` is how many messages were waiting after it."""

    landed: Mapping[str, int]  # by topic
    repeated: int
    quarantined: Mapping[str, int]  # by reason
    dead: Mapping[str, int]  # by reason
    files: int
    behind: int

    @classmethod
    def of(cls, batches: Batches, fresh: Mapping[Shard, Rows], *, behind: int) -> "Landed":
        landed: Counter[str] = Counter()
        quarantined: Counter[str] = Counter()
        for shard, rows in fresh.items():
            for events in rows.values():
                reasons = Counter(event.get(REJECTED) for event in events.values())
                landed[shard.topic] += reasons.pop(None, 0)
                quarantined.update({str(reason): count for reason, count in reasons.items()})
        read = sum(batch.good for batch in batches.by_shard.values())
        return cls(
            landed=+landed,
            repeated=read - landed.total() - quarantined.total(),
            quarantined=quarantined,
            dead=batches.dead,
            files=sum(map(len, fresh.values())),
            behind=behind,
        )


def total(flushes: Sequence[Landed]) -> Landed:
    """All of them as one."""
    return Landed(
        landed=sum((Counter(one.landed) for one in flushes), Counter()),
        repeated=sum(one.repeated for one in flushes),
        quarantined=sum((Counter(one.quarantined) for one in flushes), Counter()),
        dead=sum((Counter(one.dead) for one in flushes), Counter()),
        files=sum(one.files for one in flushes),
        behind=flushes[-1].behind if flushes else 0,
    )
