"""What items are like, apart from who met them: published embeddings by item code, an item's own or its brand's.

Belongs here: putting embeddings of any width beside an item index. Does not: what is learned from them (`cold`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.columns import ITEM_ID
from spark_jobs.features.history import Floats, Longs

BRAND_ID, EMBEDDING = "brand_id", "embedding"
CONTENT_COLUMNS = (ITEM_ID, BRAND_ID, EMBEDDING)


@dataclass(frozen=True)
class Block:
    """Embeddings of one space: codes int64 [n] of items, ascending, vectors float32 [n, e]."""

    codes: Longs
    vectors: Floats


@dataclass(frozen=True)
class ItemContent:
    """Blocks in order of preference: items' own embeddings, a block a width, then their brands'."""

    blocks: tuple[Block, ...] = ()


def content_of(items: pa.Table, brands: pa.Table, item_ids: npt.NDArray[np.str_]) -> ItemContent:
    """items: item_id, brand_id, embedding, one row an item; brands: brand_id, embedding, one row a brand.

    Whatever is null, empty or not finite is no embedding.
    """
    codes = _positions(items.column(ITEM_ID), pa.array(item_ids.tolist(), pa.string()))
    brand = _positions(items.column(BRAND_ID), brands.column(BRAND_ID).cast(pa.int64()))
    own = [Block(*_sorted(codes[rows], vectors)) for rows, vectors in _by_width(items.column(EMBEDDING), codes >= 0)]
    of_brands = []
    for rows, vectors in _by_width(brands.column(EMBEDDING), np.ones(brands.num_rows, dtype=bool)):
        place = np.full(brands.num_rows + 1, -1)  # the last stands for no brand
        place[rows] = np.arange(len(rows))
        has_one = (codes >= 0) & (place[brand] >= 0)
        of_brands.append(Block(*_sorted(codes[has_one], vectors[place[brand[has_one]]])))
    return ItemContent((*own, *of_brands))


def _positions(values: pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> Longs:
    """Where each value is among distinct others; -1 where it is not."""
    known = among.combine_chunks() if isinstance(among, pa.ChunkedArray) else among
    found = pc.index_in(values.cast(known.type), value_set=known)
    at: Longs = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return at


def _by_width(lists: pa.ChunkedArray, wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[Longs, Floats]]:
    """Positions and vectors of the wanted rows of each width, the commonest width first."""
    column = lists.combine_chunks().cast(pa.list_(pa.float32()))
    sizes = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    flat = column.flatten().to_numpy(zero_copy_only=False)
    starts = np.cumsum(sizes) - sizes
    widths, counts = np.unique(sizes[wanted & (sizes > 0)], return_counts=True)
    for width in widths[np.argsort(-counts, kind="stable")]:
        rows = np.flatnonzero(wanted & (sizes == width))
        vectors = flat[starts[rows][:, None] + np.arange(width)].astype(np.float32)
        is_finite = np.isfinite(vectors).all(axis=1)
        yield rows[is_finite], vectors[is_finite]


def _sorted(codes: Longs, vectors: Floats) -> tuple[Longs, Floats]:
    order = np.argsort(codes, kind="stable")
    return codes[order], vectors[order]
