"""Sets of products as bits: words of 64, the words first, so that the sets of many users lie side by side [W, U].

With W = P // 64 + 1 words at least one bit behind the last product is free.
"""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]


def words_needed(bits: int) -> int:
    return bits // 64 + 1


def as_words(flags: Bools) -> Words:
    """[W, N] of sets as rows of flags [N, P]."""
    bits = flags.shape[1]
    return from_bytes(as_bytes(flags), words=words_needed(bits))


def as_flags(words: Words, bits: int) -> Bools:
    """The reverse."""
    flat = np.ascontiguousarray(words.T).astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(flat, axis=1, count=bits, bitorder="little").view(np.bool_)


def as_bytes(flags: Bools) -> NDArray[np.uint8]:
    """[N, B], eight flags a byte."""
    return np.packbits(flags, axis=1, bitorder="little")


def from_bytes(packed: NDArray[np.uint8], *, words: int) -> Words:
    """[W, N] of sets as bytes [N, B]."""
    padded = np.zeros((len(packed), 8 * words), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(padded.view("<u8").T)


def united_by_byte(flags: Bools) -> Words:
    """[W, B * 256]: of rows [P, P], the union of those that a byte of a set of products names, by place and byte."""
    rows = as_words(flags).T
    places = -(-len(rows) // 8)
    padded = np.zeros((places * 8, rows.shape[1]), np.uint64)
    padded[: len(rows)] = rows
    named = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.bool_)
    eights = padded.reshape(places, 1, 8, rows.shape[1])
    united = np.bitwise_or.reduce(np.where(named[None, :, :, None], eights, np.uint64(0)), axis=2)
    return np.ascontiguousarray(united.reshape(places * 256, rows.shape[1]).T)


def united(by_byte: Words, held: NDArray[np.uint8]) -> Words:
    """[W, U]: the unions for sets as bytes [U, B], from `united_by_byte`."""
    places = held.T + 256 * np.arange(held.shape[1])[:, None]
    return np.asarray(np.bitwise_or.reduce(by_byte.take(places, axis=1), axis=1))
