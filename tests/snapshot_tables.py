"""Hypothesis strategies for rows of a snapshot's tables, in the types that the night writes."""

from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from data_contracts.checksums import SNAPSHOT_COLUMNS

_TYPES: dict[str, pa.DataType] = {
    "user_id": pa.int64(),
    "segment": pa.int16(),
    "birth_year": pa.int16(),
    "region": pa.int16(),
    "income_band": pa.int8(),
    "score_band": pa.int8(),
    "arrears_days": pa.int16(),
    "consents": pa.uint8(),
    "holdings": pa.list_(pa.int32()),
    "item_code": pa.int32(),
    "item": pa.int32(),
    "shortfall": pa.uint16(),
    "score": pa.uint16(),
    "holders": pa.int64(),
    "holders_mean": pa.float32(),
    "everyone_mean": pa.float32(),
    **{f"{kind}_items": pa.list_(pa.int32()) for kind in ("product", "offer")},
    **{f"{kind}_{name}": pa.list_(pa.uint16()) for kind in ("product", "offer") for name in ("scores", "reasons")},
}
_BOUNDS = {"user_id": (0, 2**63 - 1), "holders": (0, 2**63 - 1)}


def column_type(name: str) -> pa.DataType:
    """Strings are all columns that no number is said of."""
    return _TYPES.get(name, pa.string())


def cells(name: str) -> st.SearchStrategy[Any]:
    """Any value a column may hold."""
    kind = column_type(name)
    if pa.types.is_list(kind):
        return st.lists(_numbers(kind.value_type), max_size=5)
    if pa.types.is_floating(kind):
        return st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False)
    if pa.types.is_string(kind):
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    return _numbers(kind, *_BOUNDS.get(name, ()))


def table_rows(table: str, *, min_size: int = 0) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({name: cells(name) for name in SNAPSHOT_COLUMNS[table]})
    return st.lists(row, min_size=min_size, max_size=6)


def as_batch(table: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    schema = pa.schema([(name, column_type(name)) for name in SNAPSHOT_COLUMNS[table]])
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def _numbers(kind: pa.DataType, low: int | None = None, high: int | None = None) -> st.SearchStrategy[int]:
    signed = pa.types.is_signed_integer(kind)
    bits = kind.bit_width - signed
    return st.integers(-(2**bits) if low is None and signed else low or 0, 2**bits - 1 if high is None else high)
