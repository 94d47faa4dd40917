"""Kept events that count: each once, without suppressions that were lifted. Pure.

Should two events of one idempotency key differ, the earlier counts, whatever order they came in.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.columns import EVENT_ID, EVENT_TIME, EVENT_TYPE, FAMILY, ITEM_ID, USER_ID
from data_contracts.overlay.kinds import SUPPRESSIONS
from data_contracts.overlay.rows import CHANNEL, TOPIC
from data_contracts.vocabulary import SuppressionEvent

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


def without_lifted(events: pa.Table) -> pa.Table:
    """EVENTS without the suppressions that some LIFT among them names; an erasure is never among those."""
    is_lift = pc.equal(events[EVENT_TYPE], SuppressionEvent.LIFTED.value)
    if not pc.any(is_lift).as_py():
        return events
    lifted = _of_user(events.filter(is_lift), ITEM_ID)
    may_go = pc.and_(
        pc.equal(events[TOPIC], SUPPRESSIONS), pc.not_equal(events[EVENT_TYPE], SuppressionEvent.ERASURE.value)
    )
    is_gone = pc.and_(may_go, pc.is_in(_of_user(events, EVENT_ID), value_set=lifted.combine_chunks()))
    return events.filter(pc.invert(is_gone))


def _of_user(events: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(events[USER_ID].cast(pa.string()), events[name], "/")
