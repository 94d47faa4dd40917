"""Files of exports read again: lists stay whole, and what is written again is what was read."""

import io

import numpy as np
import pyarrow as pa
import pytest

from api.bulk_formats import Format
from api.export_rows import PAIRS_HEAD, Block, again, blocks_of, pairs_csv, pairs_in

ITEMS = ["card_gold", "=cmd", "'quoted", 'a "b", c', "loan\r\nx", "-1"]


def block(format_: Format, *, users: int) -> Block:
    draw = np.random.default_rng(3)
    lengths = draw.integers(1, 6, users)
    rows = int(lengths.sum())
    tiers = pa.array(draw.choice(["personal", "segment"], rows).tolist())
    rest = {"scores": pa.array(draw.random(rows)), "tiers": tiers}
    if format_ is Format.PARQUET:
        reasons = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32)), pa.array([7] * rows))
        rest["reasons"] = reasons.flatten().cast(pa.uint16())
    else:
        rest = {"score": rest["scores"].cast(pa.string()), "tier": tiers, "reasons": pa.array(["1 2"] * rows)}
    items = pa.array(draw.choice(ITEMS, rows).tolist())
    return Block(np.repeat(np.arange(users, dtype=np.int64) * 3, lengths), items, pa.table(rest))


@pytest.mark.parametrize("format_", [Format.PARQUET, Format.CSV])
def test_a_file_is_read_as_it_was_written_and_no_list_is_cut_in_two(format_: Format) -> None:
    # Larger than what Arrow reads of a CSV file at once.
    made, out = block(format_, users=20_000), io.BytesIO()
    writer = again(out, format_, has_bom=True)
    after = made.user_ids.astype("datetime64[us]")
    after[::2] = np.datetime64("NaT")
    writer.write(made, after)
    writer.close()
    found = list(blocks_of(pa.BufferReader(out.getvalue()), format_))
    assert pa.chunked_array([one.item_ids for one in found]).equals(pa.chunked_array([made.item_ids]))
    assert np.array_equal(np.concatenate([one.user_ids for one in found]), made.user_ids)
    assert pa.concat_tables([one.rest for one in found]).to_pydict() == made.rest.to_pydict()
    first = [int(one.user_ids[0]) for one in found]
    assert len(set(first)) == len(first) == sum(len(np.unique(one.user_ids)) for one in found) - 20_000 + len(found)
    assert format_ is Format.PARQUET or len(found) > 1


def test_what_was_taken_out_is_told_as_it_was_named() -> None:
    made = block(Format.CSV, users=50)
    told = pa.BufferReader(PAIRS_HEAD + pairs_csv(made))
    assert list(pairs_in(told)) == list(zip(made.user_ids.tolist(), made.item_ids.to_pylist(), strict=True))
