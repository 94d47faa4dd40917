"""Tables are made once, in order, and never changed under data."""

import pytest

import sql.migrate
from data_contracts.checksums import SNAPSHOT_COLUMNS
from data_contracts.errors import InputError
from sql.client import Address, Store
from sql.migrate import migrate


def test_a_migrated_database_has_nothing_left_to_do(address: Address, store: Store) -> None:
    assert migrate(address) == ()
    steps = [file for _, file, _ in store.rows("migrations_v1/applied")]
    assert steps[0] == "lists_v1/create"
    assert len(steps) == len(set(steps)) == len(sql.migrate.steps())


def test_a_new_step_is_applied_alone(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [*sql.migrate.steps(), "lists_v1/stage"]
    monkeypatch.setattr(sql.migrate, "steps", lambda: steps)
    assert migrate(address) == ("lists_v1/stage",)
    assert migrate(address) == ()


def test_a_step_that_changed_after_it_was_applied_is_refused(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql.migrate, "statement", lambda name: f"SELECT '{name}'")
    with pytest.raises(InputError, match=r"lists_v1/create\.sql \(step 1\) has changed"):
        migrate(address)


@pytest.mark.parametrize("table", SNAPSHOT_COLUMNS)
def test_a_table_has_the_snapshot_s_columns(store: Store, table: str) -> None:
    ((structure,),) = store.rows("load/structure", table=table)
    names = tuple(column.split(" ")[0] for column in structure.split(", ") if column[0].islower())
    assert names == SNAPSHOT_COLUMNS[table]
