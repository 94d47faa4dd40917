"""Changes of contracts are judged for readers and for rows already written, and version numbers tell of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.releases import faults, release, released
from data_contracts.table_diff import diff, diff_all, version_fault
from data_contracts.tables import TableContract, all_contracts

_OLD: Mapping[str, Any] = {
    "name": "silver.test",
    "version": "1.3",
    "grain": "one row a test",
    "owner": "nobody",
    "freshness_hours": 26,
    "key": ["id"],
    "columns": [
        {"name": "id", "type": "bigint", "description": "what it is"},
        {"name": "band", "type": "int", "nullable": True, "min": 0, "max": 4, "description": "a band"},
        {"name": "action", "type": "string", "values": ["view", "click"], "description": "an action"},
        {"name": "price", "type": "float", "unit": "RUB", "description": "a price"},
    ],
}


def table(
    version: str = "1.3", *, column: str = "", changed: Mapping[str, Any] | None = None, **whole: Any
) -> TableContract:
    """The old contract with one column changed, or something of the whole."""
    columns = [{**one, **(changed or {})} if one["name"] == column else one for one in _OLD["columns"]]
    return TableContract.model_validate({**_OLD, "version": version, "columns": columns, **whole})


OLD = table()
_MORE = {"name": "more", "type": "int", "description": "one more"}

COMPATIBLE = {
    "a nullable column added": table(columns=[*_OLD["columns"], {**_MORE, "nullable": True}]),
    "int to bigint": table(column="band", changed={"type": "bigint"}),
    "float to double": table(column="price", changed={"type": "double"}),
    "a value more": table(column="action", changed={"values": ["view", "click", "like"]}),
    "any value": table(column="action", changed={"values": None}),
    "a wider range": table(column="band", changed={"min": -1, "max": 5}),
    "no range": table(column="band", changed={"min": None, "max": None}),
    "open to features": table(feature_columns=True),
}
INCOMPATIBLE = {
    "another column added": table(columns=[*_OLD["columns"], _MORE]),
    "a column removed": table(columns=_OLD["columns"][:-1]),
    "bigint to int": table(column="id", changed={"type": "int"}),
    "a number to text": table(column="band", changed={"type": "string", "min": None, "max": None}),
    "another unit": table(column="price", changed={"unit": "kopeks"}),
    "may be null": table(column="action", changed={"nullable": True}),
    "may not be null": table(column="band", changed={"nullable": False}),
    "a value less": table(column="action", changed={"values": ["view"]}),
    "values for the first time": table(column="id", changed={"type": "bigint", "values": ["1"]}),
    "a higher minimum": table(column="band", changed={"min": 1}),
    "a lower maximum": table(column="band", changed={"max": 3}),
    "a range for the first time": table(column="id", changed={"max": 10}),
    "another grain": table(grain="one row an attempt"),
    "another key": table(key=["id", "action"]),
    "another partitioning": table(partition_by=["action"]),
}
SILENT = {
    "another description": table(column="band", changed={"description": "band of income"}),
    "another owner": table(owner="somebody"),
    "severity": table(column="band", changed={"severity": "warn"}),
    "PII class": table(column="band", changed={"pii": "sensitive"}),
    "freshness": table(freshness_hours=50),
}


@pytest.mark.parametrize("what", COMPATIBLE)
def test_a_compatible_change_is_named_and_needs_a_minor_version(what: str) -> None:
    changes = diff(OLD, COMPATIBLE[what])
    assert changes
    assert all(change.compatible for change in changes)
    assert "becomes 1.4" in str(version_fault(OLD, COMPATIBLE[what]))
    assert version_fault(OLD, COMPATIBLE[what].model_copy(update={"version": "1.4"})) is None


@pytest.mark.parametrize("what", INCOMPATIBLE)
def test_an_incompatible_change_is_named_and_needs_a_major_version(what: str) -> None:
    changes = diff(OLD, INCOMPATIBLE[what])
    assert not all(change.compatible for change in changes)
    for version in ("1.3", "1.4"):
        fault = version_fault(OLD, INCOMPATIBLE[what].model_copy(update={"version": version}))
        assert "becomes 2.0" in str(fault)
    assert version_fault(OLD, INCOMPATIBLE[what].model_copy(update={"version": "2.0"})) is None


@pytest.mark.parametrize("what", SILENT)
def test_what_is_only_said_about_a_table_needs_no_new_version(what: str) -> None:
    assert diff(OLD, SILENT[what]) == ()
    assert version_fault(OLD, SILENT[what]) is None


def test_going_back_to_an_older_version_is_a_fault() -> None:
    assert "older than 1.3" in str(version_fault(OLD, table("1.2")))


def test_a_new_table_breaks_nobody_and_a_removed_one_breaks_its_readers() -> None:
    (new,) = diff_all({}, {OLD.name: OLD})
    (gone,) = diff_all({OLD.name: OLD}, {})
    assert (new.compatible, gone.compatible) == (True, False)


def test_no_contract_changed_without_the_version_that_says_so() -> None:
    """Fails here? Give the contract the version named, and when it is to be relied on, run `recs contracts release`."""
    assert faults(released(), all_contracts()) == []


def test_a_release_is_refused_until_the_version_tells_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "released.yaml"
    release({OLD.name: OLD}, path=path)
    before = path.read_text()
    broken = INCOMPATIBLE["a column removed"]
    with pytest.raises(InputError, match=r"column price removed.*becomes 2\.0"):
        release({OLD.name: broken}, path=path)
    with pytest.raises(InputError, match="no longer there"):
        release({}, path=path)
    assert path.read_text() == before
    release({OLD.name: broken.model_copy(update={"version": "2.0"})}, path=path)
    assert released(path)[OLD.name].version == "2.0"
    release({}, dropped=[OLD.name], path=path)
    assert released(path) == {}


def test_a_release_reads_back_as_it_was_recorded(tmp_path: Path) -> None:
    release(all_contracts(), path=tmp_path / "released.yaml")
    assert released(tmp_path / "released.yaml") == all_contracts()
