"""ClickHouse and Python compute the same checksum of the same table."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.checksums import SNAPSHOT_COLUMNS, counts_of
from sql.client import Store
from sql.sources import with_snapshot_id
from sql.verify import loaded_counts
from tests.snapshot_tables import as_batch, table_rows

ID = "2026-03-15.1"


@pytest.mark.parametrize("table", SNAPSHOT_COLUMNS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_both_checksums_agree_on_any_table(store: Store, table: str, data: st.DataObject) -> None:
    batch = as_batch(table, data.draw(table_rows(table, min_size=1)))
    store.run(f"{table}_v1/stage")
    store.run(f"{table}_v1/unstage", snapshot_id=ID)
    rows = with_snapshot_id(pa.Table.from_batches([batch]), ID)
    store.send("load/from_body", rows, staging=f"{table}_staging")
    store.run(f"{table}_v1/replace", snapshot_id=ID)
    assert loaded_counts(store, table=table, snapshot_id=ID) == counts_of([batch], table=table)
