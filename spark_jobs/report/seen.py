"""What a snapshot's lists hold, counted while they stream by, so that millions of users are never in memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.columns import OFFER_ITEMS, OFFER_SCORES, PRODUCT_ITEMS, PRODUCT_SCORES, SEGMENT, USER_ID
from data_contracts.scores import LOGIT_LIMIT, dequantise, log_odds

# Of a list, what most people ever see.
HEAD = 5
_LONGEST = 20
BINS = 48

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """Users in ascending order of their ids, with each one's segment."""

    ids: Ints
    segments: Ints

    @classmethod
    def of(cls, user_state: Iterable[pa.RecordBatch]) -> "People":
        parts = [
            (batch.column(USER_ID).to_numpy(), batch.column(SEGMENT).to_numpy().astype(np.int16))
            for batch in user_state
        ]
        ids = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
        segments = np.concatenate([np.empty(0, np.int16), *(part[1] for part in parts)])
        order = np.argsort(ids)
        return cls(ids[order], segments[order].astype(np.int64))

    def segments_of(self, ids: Ints) -> Ints:
        """0, nothing known, of those who are not there."""
        if not len(self.ids):
            return np.zeros(len(ids), np.int64)
        place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[place] == ids, self.segments[place], 0)


@dataclass
class ListsSeen:
    """listed, first (items,): lists that hold an item, and that begin with it. shown (segments, products): how often a
    product is among a list's first `HEAD`. worth (products, places): sum of probability × value. scores: kind ->
    (BINS,) lists by the log odds of their best item, from -LOGIT_LIMIT to LOGIT_LIMIT.
    """

    listed: Ints
    first: Ints
    shown: Ints
    worth: Floats
    scores: dict[str, Ints]
    personal: Ints
    lists: int = 0


def lists_seen(batches: Iterable[pa.RecordBatch], people: People, *, items: int, values: Floats) -> ListsSeen:
    """items: how many the snapshot knows. values (products,): of the products, whose codes are the first ones."""
    segments = int(people.segments.max(initial=0)) + 1
    seen = ListsSeen(
        listed=np.zeros(items, np.int64),
        first=np.zeros(items, np.int64),
        shown=np.zeros((segments, len(values)), np.int64),
        worth=np.zeros((len(values), _LONGEST)),
        scores={kind: np.zeros(BINS, np.int64) for kind in ("product", "offer")},
        personal=np.zeros(segments, np.int64),
    )
    for batch in batches:
        segment = people.segments_of(batch.column(USER_ID).to_numpy())
        seen.lists += batch.num_rows
        seen.personal += np.bincount(segment, minlength=segments)
        _see_products(seen, batch, segment, values)
        _see_kind(seen, batch, "offer", (OFFER_ITEMS, OFFER_SCORES))
    return seen


def _see_products(seen: ListsSeen, batch: pa.RecordBatch, segment: Ints, values: Floats) -> None:
    row, place, code, score = _see_kind(seen, batch, "product", (PRODUCT_ITEMS, PRODUCT_SCORES))
    is_product = (code < len(values)) & (place < _LONGEST)
    row, place, code, score = row[is_product], place[is_product], code[is_product], score[is_product]
    seen.worth += _added(seen.worth.shape, (code, place), dequantise(score) * values[code])
    is_head = place < HEAD
    seen.shown += _added(seen.shown.shape, (segment[row[is_head]], code[is_head]))


def _see_kind(
    seen: ListsSeen, batch: pa.RecordBatch, kind: str, names: tuple[str, str]
) -> tuple[Ints, Ints, Ints, Ints]:
    """Row, place, item code and score of every listed item of a kind. What is uneven or unknown the gate tells of."""
    items, scores = (batch.column(name) for name in names)
    offsets = items.offsets.to_numpy().astype(np.int64)
    sizes = np.diff(offsets)
    code, score = items.flatten().to_numpy().astype(np.int64), scores.flatten().to_numpy().astype(np.int64)
    row = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(code)) - np.repeat(offsets[:-1] - offsets[0], sizes)
    is_known = (code >= 0) & (code < len(seen.listed)) & (len(score) == len(code))
    row, place, code = row[is_known], place[is_known], code[is_known]
    score = score[: len(is_known)][is_known[: len(score)]]
    seen.listed += np.bincount(code, minlength=len(seen.listed))
    seen.first += np.bincount(code[place == 0], minlength=len(seen.first))
    best = np.zeros(len(sizes), np.int64)
    np.maximum.at(best, row, score)
    odds = log_odds(best[np.unique(row)])
    bins = ((odds + LOGIT_LIMIT) / (2 * LOGIT_LIMIT) * BINS).astype(np.int64)
    seen.scores[kind] += np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)
    return row, place, code, score


def _added(shape: tuple[int, ...], at: tuple[Ints, Ints], weights: Floats | None = None) -> NDArray[Any]:
    """Sums of the weights, or counts, at the places of a table."""
    flat = np.bincount(np.ravel_multi_index(at, shape), weights, minlength=int(np.prod(shape)))
    return flat.reshape(shape)
