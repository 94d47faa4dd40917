"""The checks of a table, from its contract and nowhere else: what Great Expectations validates and Dagster shows.

One check a column (type, nulls, values), and one each of the table's key, its columns and its features. A check is as
severe as its column; those of the whole table are errors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from data_contracts.tables import Column, ColumnType, Layer, Severity, TableContract

FLOATS = (ColumnType.FLOAT, ColumnType.DOUBLE)
# A double beyond it is infinite as the float32 that features and models are made of.
LARGEST_FLOAT = 3.4028234663852886e38


class Subject(StrEnum):
    COLUMN = "column"
    COLUMNS = "columns"
    KEY = "key"
    FEATURES = "features"


@dataclass(frozen=True)
class Check:
    """`name` is also the name of Dagster's check; `column` is that of a check of one."""

    name: str
    subject: Subject
    severity: Severity
    description: str
    column: Column | None = None


def checks_of(promised: TableContract) -> tuple[Check, ...]:
    """In the order in which they are shown.

    None for a table that is kept as delivered: every row of it was checked against the contract when it was written,
    and those that broke it carry the reason and are in quarantine. None for a snapshot's, which the gate reads whole.
    """
    return () if promised.is_as_delivered or promised.layer is Layer.SNAPSHOT else tuple(_checks(promised))


def _checks(promised: TableContract) -> Iterator[Check]:
    if promised.key:
        text = f"{', '.join(promised.key)}: once in what was written"
        yield Check("table_key", Subject.KEY, Severity.ERROR, text)
    if promised.feature_columns:
        yield Check("table_features", Subject.FEATURES, Severity.ERROR, "every feature is a finite number or null")
    else:
        yield Check("table_columns", Subject.COLUMNS, Severity.ERROR, "the columns of the contract and no others")
    for column in promised.columns:
        yield Check(f"column_{column.name}", Subject.COLUMN, column.severity, promise_of(column), column)


def promise_of(column: Column) -> str:
    """What a column promises, as a person reads it: `action: string, never null, one of view, click`."""
    parts = [column.type.value, "may be null" if column.nullable else "never null"]
    if column.values is not None:
        parts.append(f"one of {', '.join(column.values)}")
    if column.min is not None:
        parts.append(f"from {bound_text(column.min)}")
    if column.max is not None:
        parts.append(f"up to {bound_text(column.max)}")
    if column.unit is not None:
        parts.append(f"in {column.unit}")
    if column.type in FLOATS:
        parts.append("finite")
    return f"{column.name}: {', '.join(parts)}"


def bound_text(bound: object) -> str:
    """A bound without the decimals that it does not need."""
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
