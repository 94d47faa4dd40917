"""A checksum is of the content: every change of it shows, nothing else does."""

import io
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.checksums import SNAPSHOT_COLUMNS, counts_of, parquet_batches
from data_contracts.errors import InputError
from tests.snapshot_tables import as_batch, cells, table_rows

Rows = list[dict[str, Any]]
tables = st.sampled_from(sorted(SNAPSHOT_COLUMNS))


def checksum(table: str, rows: Rows) -> str:
    return counts_of([as_batch(table, rows)], table=table).checksum


@settings(deadline=None)
@given(st.data(), tables)
def test_the_order_of_rows_and_their_pieces_do_not_matter(data: st.DataObject, table: str) -> None:
    rows = data.draw(table_rows(table))
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    pieces = [as_batch(table, shuffled[:cut]), as_batch(table, shuffled[cut:]), as_batch(table, rows).slice(0, 0)]
    assert counts_of(pieces, table=table) == counts_of([as_batch(table, rows)], table=table)


@settings(deadline=None)
@given(st.data(), tables)
def test_a_slice_of_a_batch_is_only_that_slice(data: st.DataObject, table: str) -> None:
    rows = data.draw(table_rows(table))
    start = data.draw(st.integers(0, len(rows)))
    assert counts_of([as_batch(table, rows).slice(start)], table=table).checksum == checksum(table, rows[start:])


@settings(deadline=None)
@given(st.data(), tables)
def test_every_changed_cell_shows(data: st.DataObject, table: str) -> None:
    rows = data.draw(table_rows(table, min_size=1))
    row = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(SNAPSHOT_COLUMNS[table]))
    before = rows[row][name]
    # Minus zero is another value than zero, although Python calls them equal.
    after = data.draw(cells(name).filter(lambda cell: repr(cell) != repr(before)))
    changed = [*rows[:row], {**rows[row], name: after}, *rows[row + 1 :]]
    assert checksum(table, changed) != checksum(table, rows)


@settings(deadline=None)
@given(st.data(), tables)
def test_a_lost_row_and_a_row_twice_show(data: st.DataObject, table: str) -> None:
    rows = data.draw(table_rows(table, min_size=1))
    assert checksum(table, rows[1:]) != checksum(table, rows)
    assert checksum(table, [*rows, rows[0]]) != checksum(table, rows)


def test_what_moves_between_columns_positions_or_rows_shows() -> None:
    row = dict.fromkeys(SNAPSHOT_COLUMNS["user_state"], 0) | {"holdings": [], "employment": ""}
    base = checksum("user_state", [{**row, "region": 1, "holdings": [3, 4]}, row])
    others = [
        [{**row, "income_band": 1, "holdings": [3, 4]}, row],
        [{**row, "region": 1, "holdings": [4, 3]}, row],
        [{**row, "region": 1}, {**row, "holdings": [3, 4]}],
        [{**row, "region": 1, "holdings": [3]}, {**row, "holdings": [4]}],
    ]
    assert len({base, *(checksum("user_state", rows) for rows in others)}) == 5


def test_the_width_of_an_integer_is_not_content() -> None:
    rows = [dict.fromkeys(SNAPSHOT_COLUMNS["user_state"], 1) | {"holdings": [1], "employment": "student"}]
    wide = pa.RecordBatch.from_pylist(rows)
    assert wide.schema.field("consents").type == pa.int64()
    assert counts_of([wide], table="user_state").checksum == checksum("user_state", rows)


def test_a_known_table_keeps_its_checksum_for_good() -> None:
    rows = [
        {
            "item_code": code,
            "item_id": f"item-{code}",
            "kind": "offer",
            "family": "",
            "name_en": "Tea",
            "name_ru": "Чай",
        }
        for code in range(3)
    ]
    assert checksum("items", rows) == "60936b8827ca5666"
    assert counts_of([], table="items").checksum == "0" * 16


def test_parquet_is_read_whatever_its_row_groups_and_column_order() -> None:
    rows = [
        {"tier": "segment", "segment": number} | {name: [number] for name in SNAPSHOT_COLUMNS["fallback_lists"][2:]}
        for number in range(100)
    ]
    random.Random(7).shuffle(rows)
    table = pa.Table.from_batches([as_batch("fallback_lists", rows)])
    file = io.BytesIO()
    pq.write_table(table.select(table.column_names[::-1]).append_column("extra", [["x"] * 100]), file, row_group_size=7)
    batches = parquet_batches([pq.ParquetFile(file)], table="fallback_lists")
    assert counts_of(batches, table="fallback_lists").checksum == checksum("fallback_lists", rows)


def test_a_missing_column_is_named() -> None:
    batch = as_batch("portraits", []).drop_columns(["feature"])
    with pytest.raises(InputError, match="portraits lacks columns feature"):
        counts_of([batch], table="portraits")
