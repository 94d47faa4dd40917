"""Rules on what stands above an item: one after another down the list, all users at a time.

What is placed so far is a few words a user: a bit for each product and, in fields of their own, a counter for each
family. A counter begins so that its highest bit is set when the family is full. So one "and" asks all the rules, and
one addition places an item.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_contracts.policy.bits import Bools, Words, as_bytes, words_needed

Items = NDArray[np.int32]

# So few users are gone through faster one by one, with whole numbers.
_FEW = 12
# Items down the lists after which it is asked whether anybody needs more.
_STRETCH = 8


@dataclass(frozen=True)
class PlacingTables:
    """By product, and at the end for none [S, P + 1]: what its place adds, and what speaks against it."""

    start: Words  # [S, 1]
    adds: Words
    against: Words
    whole_start: int
    whole_adds: Sequence[int]
    whole_against: Sequence[int]

    @classmethod
    def of(cls, prohibited: Bools, family: NDArray[np.int64], caps: NDArray[np.int64]) -> Self:
        """`prohibited` [P, P] symmetric; `family` [P] numbers `caps`."""
        products = len(family)
        none = 1 << products  # always set, so that it speaks against no item
        own = [1 << one for one in range(products)]
        counters = dict(_counters(family, caps, first=products + 1))
        conflicts = [int.from_bytes(row.tobytes(), "little") for row in as_bytes(prohibited)]
        empty = (0, 0, 0)
        unit, full = ([counters.get(one, empty)[part] for one in family.tolist()] for part in (0, 1))
        start = none | sum(counter[2] for counter in counters.values())
        adds = [*(bit | one for bit, one in zip(own, unit, strict=True)), 0]
        against = [*(bit | other | one for bit, other, one in zip(own, conflicts, full, strict=True)), none]
        words = words_needed(max(number.bit_length() for number in (start, *adds, *against)) - 1)
        return cls(
            start=_in_words([start], words),
            adds=_in_words(adds, words),
            against=_in_words(against, words),
            whole_start=start,
            whole_adds=adds,
            whole_against=against,
        )


def _counters(
    family: NDArray[np.int64], caps: NDArray[np.int64], *, first: int
) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """By family what one item adds, the bit that says it is full, and the beginning; none where it cannot be full."""
    bit = first
    for number, cap in enumerate(caps.tolist()):
        if cap >= int((family == number).sum()):
            continue
        width = (cap - 1).bit_length() + 1
        if bit // 64 != (bit + width - 1) // 64:
            bit = (bit // 64 + 1) * 64
        yield number, (1 << bit, 1 << (bit + width - 1), (1 << (width - 1)) - cap << bit)
        bit += width


def _in_words(numbers: Sequence[int], words: int) -> Words:
    data = b"".join(number.to_bytes(8 * words, "little") for number in numbers)
    return np.ascontiguousarray(np.frombuffer(data, "<u8").reshape(len(numbers), words).T)


def placed(tables: PlacingTables, items: Items, barred: Words, most: NDArray[np.int64]) -> Bools:
    """Which items of lists [L, U] are placed, best first, of each user at most `most` [U]; those in `barred` [W, U],
    and -1, never.
    """
    if items.shape[1] <= _FEW:
        return _one_by_one(tables, items, barred, most)
    words, none = len(barred), np.int32(tables.adds.shape[1] - 1)
    items = np.where(items < 0, none, items)
    adds = tables.adds.take(items, axis=1)
    is_barred = (adds[:words] & (barred[:, None])).any(axis=0)
    against = tables.against.take(np.where(is_barred, none, items), axis=1)
    state = np.repeat(tables.start, items.shape[1], axis=1)
    is_placed = np.zeros(items.shape, np.bool_)
    hits, hit = np.empty_like(state), np.empty(items.shape[1], np.uint64)
    for position, here in enumerate(is_placed):
        if position and position % _STRETCH == 0 and (is_placed[:position].sum(axis=0) >= most).all():
            break
        np.bitwise_and(state, against[:, position], out=hits)
        np.bitwise_or.reduce(hits, axis=0, out=hit)
        np.equal(hit, 0, out=here)
        state += np.multiply(adds[:, position], here, out=hits)
    return first(is_placed, most)


def first(is_placed: Bools, most: NDArray[np.int64]) -> Bools:
    """Of what is placed in lists [L, U] the first so many: what stands below changes nothing above."""
    return np.asarray(is_placed & (np.cumsum(is_placed, axis=0, dtype=np.int32) <= most))


def _one_by_one(tables: PlacingTables, items: Items, barred: Words, most: NDArray[np.int64]) -> Bools:
    is_placed = np.zeros(items.shape, np.bool_)
    adds, against = tables.whole_adds, tables.whole_against
    for user, listed in enumerate(items.T.tolist()):
        state, standing, needed = tables.whole_start, _whole(barred[:, user]), int(most[user])
        for position, item in enumerate(listed):
            if not needed:
                break
            if not (state & against[item] or standing & adds[item]):
                state += adds[item]
                is_placed[position, user] = True
                needed -= 1
    return is_placed


def _whole(words: Words) -> int:
    return int.from_bytes(words.astype("<u8").tobytes(), "little")
