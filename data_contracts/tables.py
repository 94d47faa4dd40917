"""Contracts of the lake's tables: one YAML a table in `tables/`, read into values that validate themselves.

From a contract, and nowhere else, come the Spark schema, the partitioning and the checks of a table.
"""

from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.columns import REJECTED
from data_contracts.errors import InputError

TABLES = Path(__file__).parent / "tables"


class ColumnType(StrEnum):
    """Types a column may have; names are Spark's SQL names where it has one."""

    BOOLEAN = "boolean"
    TINYINT = "tinyint"
    SMALLINT = "smallint"
    INT = "int"
    BIGINT = "bigint"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BINARY = "binary"
    DATE = "date"
    TIMESTAMP = "timestamp"
    FLOATS = "array<float>"
    STRINGS = "array<string>"
    INTS = "array<int>"
    SMALLINTS = "array<smallint>"


class Pii(StrEnum):
    NONE = "none"
    INTERNAL_ID = "internal_id"
    SENSITIVE = "sensitive"


class Severity(StrEnum):
    """What a broken expectation does: `error` stops whatever is made from the table, `warn` only shows."""

    ERROR = "error"
    WARN = "warn"


class Column(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    type: ColumnType
    description: str = Field(min_length=3)
    nullable: bool = False
    unit: str | None = None
    min: float | date | None = None
    max: float | date | None = None
    values: tuple[str, ...] | None = None
    length: int | None = Field(None, gt=0, description="elements of a list that is not empty")
    pii: Pii = Pii.NONE
    severity: Severity = Field(Severity.ERROR, description="of the expectations of this column's nulls and values")


class Layer(StrEnum):
    """Where a table lies: Delta tables of the lake, but for a snapshot's, which are Parquet and published."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    IDENTITY = "identity"
    SNAPSHOT = "snapshot"


class TableContract(BaseModel):
    """A table's promise. `grain` is one sentence: what one row is; `key` is unique."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^(bronze|silver|gold|identity|snapshot)\.[a-z][a-z0-9_]*$")
    version: str = Field(pattern=r"^\d+\.\d+$")
    grain: str = Field(min_length=5)
    owner: str
    freshness_hours: int = Field(gt=0)
    retention_days: int | None = Field(
        None,
        gt=0,
        description="rows whose first partition column is older than this are expired; null keeps them for ever",
    )
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    feature_columns: bool = Field(False, description="open to registered features: float columns named f_*")
    columns: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column is named twice")
        missing = sorted({*self.key, *self.partition_by} - set(names))
        if missing:
            raise ValueError(f"{self.name}: key or partition names unknown columns: {', '.join(missing)}")
        if self.retention_days is not None and not self.partition_by:
            raise ValueError(f"{self.name}: rows expire by their first partition column, but partition_by is empty")
        return self

    @property
    def numbers(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor = self.version.split(".")
        return int(major), int(minor)

    @property
    def layer(self) -> Layer:
        return Layer(self.name.partition(".")[0])

    @property
    def is_as_delivered(self) -> bool:
        """Whether its rows may break the contract, each then with the reason beside it."""
        return REJECTED in self.column_names

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def ddl(self) -> str:
        """The schema as Spark DDL."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)


@cache
def contract(name: str) -> TableContract:
    """The contract of a table such as `silver.interactions`. Raises InputError if there is none or it is broken."""
    path = TABLES / f"{name}.yaml"
    if not path.exists():
        raise InputError(f"there is no contract for table {name}; known: {', '.join(table_names())}")
    return parse_contract(path.read_text(encoding="utf-8"), where=str(path))


def parse_contract(text: str, *, where: str) -> TableContract:
    """A contract from its YAML. Raises InputError naming `where` and the first field that is wrong."""
    try:
        return TableContract.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InputError(f"{where}: no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the contract"
        raise InputError(f"{where}: {field}: {first['msg']}") from error


def all_contracts() -> dict[str, TableContract]:
    return {name: contract(name) for name in table_names()}


def table_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in TABLES.glob("*.yaml")))
