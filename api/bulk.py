"""Everybody's lists from ClickHouse to bytes, chunk by chunk: one snapshot, the newest rules, events as of each chunk.

At any moment memory holds the chunk that is written and the one that is read ahead, whatever the number of users;
who reads slowly is waited for.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from api.bulk_chunks import NOTHING, Chunk, Totals
from api.bulk_formats import Format, Writer, writer_of
from api.bulk_lists import lists_of
from api.crowds import Crowd, Ground, Wanted, sent_after
from api.cursors import Cursor
from api.serving import Serving, Snapshot
from api.watch import Watch
from data_contracts.columns import USER_ID
from data_contracts.overlay.rows import micros
from sql.client import Address, Store, connected
from sql.ranges import ALL, Rows, Shard, read_rows


@dataclass(frozen=True)
class Asked:
    """A pull. `segment` None: everybody."""

    wanted: Wanted
    segment: int | None = None
    shard: Shard = ALL
    format: Format = Format.NDJSON

    @property
    def digest(self) -> bytes:
        """Tells pulls apart, so that a cursor goes on with its own only."""
        wanted = replace(self.wanted, families=frozenset(), exclude=frozenset())
        sets = (sorted(self.wanted.families), sorted(self.wanted.exclude))
        text = repr((wanted, sets, self.segment, self.shard, self.format))
        return hashlib.sha256(text.encode()).digest()[:8]


class Grounds:
    """What lists are made on: a pull's own snapshot under the rules and blocks of now."""

    def __init__(self, watch: Watch, snapshot: Snapshot, wanted: Wanted) -> None:
        self._watch = watch
        self._snapshot = snapshot
        self._wanted = wanted
        self._of: Serving | None = None
        self._ground = Ground(watch.serving, wanted)
        self._move()

    def now(self) -> Ground:
        if self._watch.serving is not self._of or self._watch.moment(self._snapshot).today != self._today:
            self._move()
        return self._ground

    def _move(self) -> None:
        served, self._today = self._watch.serving, self._watch.moment(self._snapshot).today
        self._of = served
        own = served
        if served.snapshot is not self._snapshot:
            own = Serving.of(
                self._snapshot, served.rule_set, served.blocks, today=self._today, trials=self._watch.trials
            )
        self._ground = Ground(own, self._wanted)


@dataclass(frozen=True)
class Pull:
    """What is pulled, from where on. `first`: user id; `key` signs cursors."""

    asked: Asked
    snapshot: Snapshot
    watch: Watch
    address: Address
    key: bytes
    began: int
    chunk_users: int
    first: int = 0
    totals: Totals = NOTHING

    def chunks(self) -> Generator[tuple[Chunk, int, Ground]]:
        """Chunks, each with the user id that the next one begins with. Raises UnavailableError."""
        grounds = Grounds(self.watch, self.snapshot, self.asked.wanted)
        with connected(self.address) as store, closing(self._read(store)) as read:
            for rows in read:
                ground = grounds.now()
                last = int(rows.states[USER_ID][-1].as_py())
                yield self._chunk(ground, rows), last + 1, ground

    def body(self) -> Iterator[bytes]:
        """All of it as bytes of the format, from the first read chunk on."""
        yield from self.through(writer_of(self.asked.format, is_whole=self.first == 0))

    def through(
        self, writer: Writer, go_on: Callable[[int], None] = lambda _: None
    ) -> Generator[bytes, None, Mapping[str, Any]]:
        """The same as some writer writes it; returns what the last record tells. `go_on` hears of users so far."""
        totals, policies = self.totals, dict[str, None]()
        head = writer.start()
        with closing(self.chunks()) as chunks:
            for chunk, following, ground in chunks:
                policies[ground.serving.policy.hash] = None
                data, totals = writer.write(chunk, totals, self._sign(following))
                yield head + data
                head = b""
                go_on(totals.users)
        told = self.told(totals, list(policies))
        yield head + writer.end(told)
        return told

    def told(self, totals: Totals, policies: list[str]) -> dict[str, Any]:
        """The last record."""
        moment = datetime.fromtimestamp(self.began / 1_000_000, UTC)
        return {
            "snapshot_id": self.snapshot.snapshot_id,
            "channel": self.asked.wanted.channel.value,
            "shard": f"{self.asked.shard.number}/{self.asked.shard.shards}",
            "began": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "policy_hashes": policies,
            "users": totals.users,
            "lists": totals.lists,
            "items": totals.items,
            "crc32": totals.checksum,
        }

    def _chunk(self, ground: Ground, rows: Rows) -> Chunk:
        moment = self.watch.moment(self.snapshot)
        crowd = Crowd.of(ground, rows, moment)
        shown, after = lists_of(ground, crowd), sent_after(ground, crowd.users, moment)
        if self.asked.segment is None:
            return Chunk.of(crowd.user_ids, shown, ground.names, after)
        is_asked = crowd.segments == self.asked.segment
        return Chunk.of(crowd.user_ids[is_asked], shown[is_asked], ground.names, after[is_asked])

    def _sign(self, following: int) -> Callable[[Totals], str]:
        return lambda totals: Cursor(
            self.snapshot.snapshot_id, self.asked.digest, self.began, following, totals
        ).signed(self.key)

    def _read(self, store: Store) -> Generator[Rows]:
        """One chunk ahead, in a thread of its own."""
        others = self.asked.wanted.others(self.watch.trials)

        def read(first: int) -> Rows | None:
            return read_rows(
                store,
                self.snapshot.snapshot_id,
                shard=self.asked.shard,
                kind=self.asked.wanted.kind,
                others=others,
                first=first,
                most=self.chunk_users,
                cut_off=self.watch.moment(self.snapshot).cut_off_micros,
            )

        reader = ThreadPoolExecutor(1, thread_name_prefix="lists")
        try:
            rows = read(self.first)
            while rows is not None:
                ahead = reader.submit(read, int(rows.states[USER_ID][-1].as_py()) + 1)
                yield rows
                rows = ahead.result()
        finally:
            reader.shutdown(wait=False, cancel_futures=True)


def is_too_old(cursor: Cursor, *, now: datetime, hours: float) -> bool:
    return micros(now) - cursor.began > timedelta(hours=hours) // timedelta(microseconds=1)
