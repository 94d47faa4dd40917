"""What changed between two contracts of a table, and whether the change is compatible.

A contract is read in two directions. Readers: whoever relied on the old contract must still be right about rows written
by the new one. Rows: those already written, and deliveries in the old form, must still keep the new one. A change is
compatible when both hold, so that code and data of either version can be mixed.

| change                                  | readers              | rows                    |              |
|-----------------------------------------|----------------------|-------------------------|--------------|
| nullable column added                   | select by name       | read as null            | compatible   |
| other column added                      | select by name       | would be null           | incompatible |
| column removed, or its unit changed     | miss it              |                         | incompatible |
| type widened: int to bigint, …          | read the wider       | fit in it               | compatible   |
| any other type                          | meet what they can't |                         | incompatible |
| may be null now                         | meet nulls           |                         | incompatible |
| may not be null any more                |                      | may hold nulls          | incompatible |
| range or vocabulary narrowed            |                      | may lie outside         | incompatible |
| range or vocabulary widened             | bear what they pass  | lie inside              | compatible   |
| grain, key or partitioning              | count other things   | lie elsewhere           | incompatible |

Version numbers follow: an incompatible change needs a new major version, any other of the above a new minor one. What
is only said about a table (descriptions, owner, freshness, retention, PII class, severity) needs none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from data_contracts.tables import Column, ColumnType, TableContract

_WIDER: Mapping[ColumnType, tuple[ColumnType, ...]] = {
    ColumnType.TINYINT: (ColumnType.SMALLINT, ColumnType.INT, ColumnType.BIGINT),
    ColumnType.SMALLINT: (ColumnType.INT, ColumnType.BIGINT),
    ColumnType.INT: (ColumnType.BIGINT,),
    ColumnType.FLOAT: (ColumnType.DOUBLE,),
    ColumnType.SMALLINTS: (ColumnType.INTS,),
}


@dataclass(frozen=True)
class Change:
    table: str
    compatible: bool
    what: str


def diff_all(old: Mapping[str, TableContract], new: Mapping[str, TableContract]) -> tuple[Change, ...]:
    """Contracts by table name. A new table breaks nobody, a dropped one breaks its readers."""
    return tuple(change for name in sorted({*old, *new}) for change in _of_table(old.get(name), new.get(name)))


def diff(old: TableContract, new: TableContract) -> tuple[Change, ...]:
    """Every change that anybody could notice, in the order table, columns removed, columns changed, columns added."""
    changes = [*_of_whole(old, new), *_of_columns(old, new)]
    return tuple(Change(new.name, compatible, what) for compatible, what in changes)


def version_fault(old: TableContract, new: TableContract) -> str | None:
    """What is wrong with the new version number, given what changed; None where it is right."""
    changes = diff(old, new)
    (old_major, old_minor), (major, minor) = old.numbers, new.numbers
    broken = [change.what for change in changes if not change.compatible]
    if broken and major <= old_major:
        return f"{new.name} {new.version}: {'; '.join(broken)}: incompatible, so it becomes {old_major + 1}.0"
    if (major, minor) < (old_major, old_minor):
        return f"{new.name} {new.version}: older than {old.version}, which is released"
    if changes and (major, minor) == (old_major, old_minor):
        told = "; ".join(change.what for change in changes)
        return f"{new.name} {new.version}: {told}: so it becomes {old_major}.{old_minor + 1}"
    return None


_Noticed = Iterator[tuple[bool, str]]


def _of_table(old: TableContract | None, new: TableContract | None) -> Iterator[Change]:
    if old is not None and new is not None:
        yield from diff(old, new)
    elif new is not None:
        yield Change(new.name, True, "new table")
    elif old is not None:
        yield Change(old.name, False, "table removed: readers miss it")


def _of_whole(old: TableContract, new: TableContract) -> _Noticed:
    for name, before, after in (
        ("grain", old.grain, new.grain),
        ("key", ", ".join(old.key), ", ".join(new.key)),
        ("partitioning", ", ".join(old.partition_by), ", ".join(new.partition_by)),
    ):
        if before != after:
            yield False, f"{name} changed from '{before}' to '{after}'"
    if old.feature_columns != new.feature_columns:
        yield new.feature_columns, f"{'open' if new.feature_columns else 'no longer open'} to feature columns"


def _of_columns(old: TableContract, new: TableContract) -> _Noticed:
    before, after = ({column.name: column for column in one.columns} for one in (old, new))
    for name in before:
        if name not in after:
            yield False, f"column {name} removed: readers miss it"
    for name in before:
        if name in after:
            yield from _of_column(before[name], after[name])
    for name, column in after.items():
        if name not in before:
            note = "rows already written read as null" if column.nullable else "rows already written have no value"
            yield column.nullable, f"column {name} added, {'nullable' if column.nullable else 'never null'}: {note}"


def _of_column(old: Column, new: Column) -> _Noticed:
    name = new.name
    if old.type is not new.type:
        wider = new.type in _WIDER.get(old.type, ())
        yield wider, f"column {name} {'widened' if wider else 'changed'} from {old.type.value} to {new.type.value}"
    if old.unit != new.unit:
        yield False, f"column {name} changed its unit from {old.unit} to {new.unit}"
    if old.nullable != new.nullable:
        told = (
            "may be null now: readers may not expect it" if new.nullable else "may no longer be null: written rows may"
        )
        yield False, f"column {name} {told}"
    yield from _of_values(old, new)
    yield from _of_range(old, new)


def _of_values(old: Column, new: Column) -> _Noticed:
    if old.values is None and new.values is not None:
        yield False, f"column {new.name} admits only {', '.join(new.values)} now"
    elif old.values is not None and new.values is None:
        yield True, f"column {new.name} admits any value now"
    elif old.values is not None and new.values is not None:
        if gone := [value for value in old.values if value not in new.values]:
            yield False, f"column {new.name} no longer admits {', '.join(gone)}"
        if added := [value for value in new.values if value not in old.values]:
            yield True, f"column {new.name} also admits {', '.join(added)}"


def _of_range(old: Column, new: Column) -> _Noticed:
    for bound, before, after in (("min", old.min, new.min), ("max", old.max, new.max)):
        if before != after:
            yield _is_wider(bound, before, after), f"column {new.name} changed its {bound} from {before} to {after}"


def _is_wider(bound: str, before: object, after: object) -> bool:
    if before is None or after is None:
        return after is None
    lower = bool(after < before)  # type: ignore[operator]  # both are numbers, or both dates: of one column's type
    return lower if bound == "min" else not lower
