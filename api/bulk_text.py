"""Lists as lines of NDJSON and rows of CSV, made by Arrow for all of a chunk at once."""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from api.answers import PROBABILITIES, reason_codes
from api.bulk_chunks import TIER_WORDS, Chunk, content
from api.ranks import TIERS

CSV_COLUMNS = ("record", "user_id", "rank", "item_id", "score", "tier", "reasons", "send_after")


def json_lines(chunk: Chunk) -> memoryview:
    """{"user_id":"…","tier":"…","send_after":…,"items":[{"item_id":"…","score":…,"tier":"…","reasons":[…]},…]}"""
    flat = chunk.flat
    items = pc.binary_join_element_wise(
        '{"item_id":',
        chunk.taken(chunk.names.json),
        _scores(',"score":', "null").take(_place(flat.scores[0])),
        _tiers(',"tier":"', '","reasons":').take(pa.array(flat.tiers[0])),
        _reasons("[", ",", "]}").take(pa.array(flat.reasons[0])),
        "",
    )
    lines = pc.binary_join_element_wise(
        '{"user_id":"',
        pc.cast(pa.array(chunk.user_ids), pa.string()),
        _tiers('","tier":"', '","send_after":').take(pa.array(chunk.tiers)),
        moments_text(chunk.send_after, '"', none="null"),
        ',"items":[',
        pc.binary_join(pa.ListArray.from_arrays(pa.array(chunk.ends), items), ","),
        "]}\n",
        "",
    )
    return content(lines)


def csv_rows(chunk: Chunk, *, record: str = "list,") -> memoryview:
    """A row an item; of CSV_COLUMNS, or without a `record` of the rest of them."""
    flat, lengths = chunk.flat, np.diff(chunk.ends)
    ranks = np.arange(int(chunk.ends[-1])) - np.repeat(chunk.ends[:-1], lengths) + 1
    rows = pc.binary_join_element_wise(
        pc.cast(pa.array(np.repeat(chunk.user_ids, lengths)), pa.string()),
        pc.cast(pa.array(ranks), pa.string()),
        chunk.taken(chunk.names.csv),
        _scores("", "").take(_place(flat.scores[0])),
        TIER_WORDS.take(pa.array(flat.tiers[0])),
        _reasons("", " ", "").take(pa.array(flat.reasons[0])),
        moments_text(chunk.send_after).take(pa.array(np.repeat(np.arange(len(lengths)), lengths))),
        ",",
    )
    return content(pc.binary_join_element_wise(record, rows, "\r\n", ""))


def moments_text(moments: NDArray[np.datetime64], quote: str = "", *, none: str = "") -> pa.Array:
    """2026-03-16T06:00:00Z; they are few, each again and again."""
    found, place = np.unique(moments, return_inverse=True)
    words = [none if np.isnat(one) else f"{quote}{np.datetime_as_string(one, unit='s')}Z{quote}" for one in found]
    return pa.array(words, pa.string()).take(pa.array(place))


def _place(scores: np.ndarray[tuple[int], np.dtype[np.int32]]) -> pa.Array:
    """In `_scores`, whose last is for what nobody scored."""
    return pa.array(np.where(scores < 0, len(PROBABILITIES), scores))


@cache
def _scores(before: str, none: str) -> pa.Array:
    """By stored score, and at the end for none."""
    return pa.array([*(f"{before}{one!r}" for one in PROBABILITIES), f"{before}{none}"])


@cache
def _tiers(before: str, after: str) -> pa.Array:
    return pa.array([f"{before}{tier.value}{after}" for tier in TIERS])


@cache
def _reasons(before: str, between: str, after: str) -> pa.Array:
    """By reasons as stored."""
    return pa.array([f"{before}{between.join(map(str, reason_codes(packed)))}{after}" for packed in range(65_536)])
