"""Every table has a whole contract, and a broken one is refused."""

import pytest
from pydantic import ValidationError

from data_contracts.columns import USER_ID
from data_contracts.errors import InputError
from data_contracts.tables import Pii, TableContract, contract, table_names


@pytest.mark.parametrize("name", table_names())
def test_a_contract_is_whole_and_named_as_its_file(name: str) -> None:
    assert contract(name).name == name


@pytest.mark.parametrize("name", table_names())
def test_user_ids_are_declared_as_personal_in_every_table(name: str) -> None:
    for column in contract(name).columns:
        if column.name == USER_ID:
            assert column.pii is Pii.INTERNAL_ID


def test_an_unknown_table_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"silver\.interactions"):
        contract("silver.gossip")


_SMALLEST = {
    "name": "gold.test",
    "version": "1.0",
    "grain": "one row a test",
    "owner": "nobody",
    "freshness_hours": 1,
    "retention_days": None,
    "columns": [{"name": "a_column", "type": "int", "description": "a column"}],
}


def test_a_key_of_unknown_columns_is_refused() -> None:
    with pytest.raises(ValidationError, match="unknown columns: other"):
        TableContract.model_validate({**_SMALLEST, "key": ["other"]})


def test_retention_without_a_partition_that_tells_age_is_refused() -> None:
    assert TableContract.model_validate(_SMALLEST).retention_days is None
    with pytest.raises(ValidationError, match="partition_by is empty"):
        TableContract.model_validate({**_SMALLEST, "retention_days": 30})
