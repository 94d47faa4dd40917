"""Everybody's lists as they go out: a chunk of them, what it counts, and the names of items in every spelling."""

import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from api.answers import PROBABILITIES
from api.ranks import TIERS, Ranks
from data_contracts.csv_text import csv_field

TIER_WORDS = pa.array([tier.value for tier in TIERS])
SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("tier", pa.string()),
        ("item_ids", pa.list_(pa.string())),
        ("scores", pa.list_(pa.float64())),
        ("tiers", pa.list_(pa.string())),
        ("reasons", pa.list_(pa.uint16())),
        ("send_after", pa.timestamp("us", "UTC")),
    ]
)
Moments = NDArray[np.datetime64]
_SCORES = np.array(PROBABILITIES)


@dataclass(frozen=True)
class Names:
    """Items' ids by item: plain, as JSON, and as a field of CSV that no spreadsheet takes for a formula."""

    ids: pa.Array

    @cached_property
    def json(self) -> pa.Array:
        return pa.array([orjson.dumps(one).decode() for one in self.ids.to_pylist()], pa.string())

    @cached_property
    def csv(self) -> pa.Array:
        return pa.array([csv_field(one) for one in self.ids.to_pylist()], pa.string())


@dataclass(frozen=True)
class Totals:
    """Up to here: users looked at, those who are shown something, the items, and the checksum."""

    users: int = 0
    lists: int = 0
    items: int = 0
    checksum: int = 0

    def after(self, chunk: "Chunk", checksum: int) -> Self:
        return replace(
            self,
            users=self.users + chunk.users,
            lists=self.lists + len(chunk.user_ids),
            items=self.items + int(chunk.ends[-1]),
            checksum=checksum,
        )


NOTHING = Totals()


@dataclass(frozen=True)
class Chunk:
    """Lists of those who are shown anything. `flat`: their items one after another [1, M], user n's from ends[n] on.

    `users`: how many were looked at; `send_after` [N]: UTC, NaT where it may be sent at once.
    """

    users: int
    user_ids: NDArray[np.int64]
    ends: NDArray[np.int32]
    flat: Ranks
    names: Names
    send_after: Moments

    @classmethod
    def of(cls, user_ids: NDArray[np.int64], shown: Ranks, names: Names, send_after: Moments) -> Self:
        is_shown = shown.is_item[:, 0]
        if not is_shown.all():
            shown = shown[is_shown]
        ends, flat = shown.flat()
        return cls(len(user_ids), user_ids[is_shown], ends, flat, names, send_after[is_shown])

    def taken(self, words: pa.Array) -> pa.Array:
        """Words by item, item by item."""
        return words.take(pa.array(self.flat.items[0]))

    @property
    def tiers(self) -> NDArray[np.int8]:
        """Of a list, that of the best of its items."""
        if not len(self.user_ids):
            return np.zeros(0, np.int8)
        return np.minimum.reduceat(self.flat.tiers[0], self.ends[:-1])

    def batch(self) -> pa.RecordBatch:
        """Of SCHEMA."""
        flat, ends = self.flat, pa.array(self.ends)
        scores = flat.scores[0]
        lists = (
            self.taken(self.names.ids),
            pa.array(_SCORES[scores], mask=scores < 0),
            TIER_WORDS.take(pa.array(flat.tiers[0])),
            pa.array(flat.reasons[0].astype(np.uint16)),
        )
        tiers = TIER_WORDS.take(pa.array(self.tiers))
        after = pa.array(self.send_after, SCHEMA.field("send_after").type)
        columns = [pa.array(self.user_ids), tiers, *(pa.ListArray.from_arrays(ends, one) for one in lists), after]
        return pa.record_batch(columns, schema=SCHEMA)


def columns_checksum(batch: pa.RecordBatch, before: int) -> int:
    items, scores = batch["item_ids"].flatten(), batch["scores"].flatten()
    checksum = zlib.crc32(batch["user_id"].to_numpy(), before)
    checksum = zlib.crc32(content(items), checksum)
    return zlib.crc32(pc.fill_null(scores, 0.0).to_numpy(), checksum)


def content(words: pa.Array) -> memoryview:
    """All words one after another, as they lie in memory."""
    _, ends, data = words.buffers()
    if not len(words):
        return memoryview(b"")
    where = np.frombuffer(ends, np.int32)[words.offset : words.offset + len(words) + 1]
    return memoryview(data)[int(where[0]) : int(where[-1])]
