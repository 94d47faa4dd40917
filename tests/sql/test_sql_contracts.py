"""What is published agrees with its contract: ClickHouse's columns hold whatever the snapshot's may."""

import re

import pytest

from data_contracts.checksums import SNAPSHOT_COLUMNS
from data_contracts.tables import Column, ColumnType, contract
from sql.client import Store

# What the lake's types hold, where the contract gives no narrower range.
_RANGES = {
    ColumnType.TINYINT: (-(2**7), 2**7 - 1),
    ColumnType.SMALLINT: (-(2**15), 2**15 - 1),
    ColumnType.INT: (-(2**31), 2**31 - 1),
    ColumnType.BIGINT: (-(2**63), 2**63 - 1),
}
_SAME = {ColumnType.STRING: "String", ColumnType.FLOAT: "Float32", ColumnType.DOUBLE: "Float64"}


def disagreements(column: Column, stored: str) -> list[str]:
    """Why a ClickHouse type cannot hold a column of the contract."""
    plain = re.sub(r"^LowCardinality\((.*)\)$", r"\1", stored)
    nullable = re.fullmatch(r"Nullable\((.*)\)", plain)
    found = [] if bool(nullable) == column.nullable else [f"null is {'not ' * (not nullable)}admitted"]
    plain = nullable[1] if nullable else plain
    array = re.fullmatch(r"Array\((.*)\)", plain)
    promised = re.fullmatch(r"array<(.*)>", column.type.value)
    if bool(array) != bool(promised):
        return [*found, f"{stored} for {column.type.value}"]
    inner = ColumnType(promised[1]) if promised else column.type
    return [*found, *_of_scalar(column, inner, array[1] if array else plain)]


def _of_scalar(column: Column, promised: ColumnType, stored: str) -> list[str]:
    if promised in _SAME:
        return [] if stored == _SAME[promised] else [f"{stored} for {promised.value}"]
    integer = re.fullmatch(r"(U?)Int(\d+)", stored)
    if integer is None or promised not in _RANGES:
        return [f"{stored} for {promised.value}"]
    bits = int(integer[2])
    lowest, highest = (0, 2**bits - 1) if integer[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    least = _RANGES[promised][0] if column.min is None else column.min
    most = _RANGES[promised][1] if column.max is None else column.max
    assert isinstance(least, int | float)
    assert isinstance(most, int | float)
    return [] if lowest <= least and most <= highest else [f"{stored} does not hold {least} to {most}"]


@pytest.mark.parametrize("table", SNAPSHOT_COLUMNS)
def test_a_published_table_holds_what_its_contract_promises(store: Store, table: str) -> None:
    ((structure,),) = store.rows("load/structure", table=table)
    stored = dict(part.split(" ", 1) for part in structure.split(", "))
    promised = contract(f"snapshot.{table}")
    assert tuple(stored) == promised.column_names == SNAPSHOT_COLUMNS[table]
    assert {
        column.name: found for column in promised.columns if (found := disagreements(column, stored[column.name]))
    } == {}


@pytest.mark.parametrize(
    ("promise", "stored"),
    [
        ({"type": "bigint"}, "UInt64"),
        ({"type": "bigint", "min": 0}, "Int32"),
        ({"type": "int", "nullable": True}, "Int32"),
        ({"type": "int"}, "Nullable(Int32)"),
        ({"type": "float"}, "Float64"),
        ({"type": "array<int>", "min": 0, "max": 65536}, "Array(UInt16)"),
        ({"type": "array<int>"}, "Int32"),
        ({"type": "string"}, "LowCardinality(Int8)"),
    ],
)
def test_a_column_that_could_not_hold_its_promise_is_found(promise: dict[str, object], stored: str) -> None:
    column = Column.model_validate({"name": "some_column", "description": "a column", **promise})
    assert disagreements(column, stored)
