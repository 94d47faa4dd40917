"""Kept events, each once: should two of one idempotency key differ, the earlier, whatever order they came in. Pure."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.columns import EVENT_ID, EVENT_TIME, EVENT_TYPE, FAMILY, ITEM_ID, USER_ID
from data_contracts.overlay.rows import CHANNEL, TOPIC

_ORDER = (USER_ID, TOPIC, EVENT_ID, EVENT_TIME, EVENT_TYPE, ITEM_ID, CHANNEL, FAMILY)
_KEY = (USER_ID, TOPIC, EVENT_ID)


def distinct_events(events: pa.Table) -> pa.Table:
    """EVENTS in one order."""
    ordered = events.take(pc.sort_indices(events, sort_keys=[(name, "ascending") for name in _ORDER]))
    if not ordered.num_rows:
        return ordered
    is_same = np.ones(ordered.num_rows - 1, dtype=np.bool_)
    for name in _KEY:
        column = ordered[name].combine_chunks()
        is_same &= np.asarray(pc.equal(column[1:], column[:-1]))
    return ordered.filter(pa.array(np.append(True, ~is_same)))
