"""Rows sorted by user, regrouped in a worker so that no user is cut in two."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from data_contracts.columns import USER_ID


def whole_users(batches: Iterable[pa.RecordBatch], *, at_once: int) -> Iterator[pa.Table]:
    """Batches sorted by user, regrouped to tables of about `at_once` rows that cut no user in two."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= at_once:
            table = pa.Table.from_batches(held)
            users = table.column(USER_ID).to_numpy()
            whole = int(np.searchsorted(users, users[-1]))
            if whole:
                yield table.slice(0, whole)
            rest = table.slice(whole).combine_chunks()
            held, rows = rest.to_batches(), rest.num_rows
    if rows:
        yield pa.Table.from_batches(held)
