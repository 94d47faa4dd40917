"""Rows sorted by user, regrouped in a worker so that no user is cut in two."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from data_contracts.columns import USER_ID

# What a worker holds of its input at once, about. Bytes, not rows: one state may weigh more than a hundred events.
BYTES_AT_ONCE = 8 * 2**20


def whole_users(batches: Iterable[pa.RecordBatch], *, at_once: int = BYTES_AT_ONCE) -> Iterator[pa.Table]:
    """Batches sorted by user, regrouped to tables of about `at_once` bytes that cut no user in two."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= at_once:
            table = pa.Table.from_batches(held)
            users = table.column(USER_ID).to_numpy()
            whole = int(np.searchsorted(users, users[-1]))
            if whole:
                yield table.slice(0, whole)
            rest = table.slice(whole).combine_chunks()
            held, size = rest.to_batches(), rest.nbytes
    if size:
        yield pa.Table.from_batches(held)
