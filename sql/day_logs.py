"""The day's events as tables: what was shown, what users did about it, and who must not be addressed, each once.

Rows come as the fields of the topics' schemas (data_contracts/events); a table knows an event by its id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sql.client import Store

_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class DayLog:
    table: str
    columns: pa.Schema


_FEEDBACK = DayLog(
    "feedback",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("event_time", _TIME),
            ("user_id", pa.int64()),
            ("event_type", pa.string()),
            ("channel", pa.string()),
            ("rec_id", pa.string()),
            ("item_id", pa.string()),
            ("position", pa.int32()),
            ("is_expired", pa.bool_()),
            ("context", pa.string()),
        ]
    ),
)
_EXPOSURES = DayLog(
    "exposures",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("event_time", _TIME),
            ("user_id", pa.int64()),
            ("rec_id", pa.string()),
            ("channel", pa.string()),
            ("kind", pa.string()),
            ("snapshot_id", pa.string()),
            ("arm", pa.string()),
            ("variant", pa.string()),
            ("tier", pa.string()),
            ("policy_hash", pa.string()),
            ("top_k", pa.int32()),
            ("families", pa.list_(pa.string())),
            ("exclude", pa.list_(pa.string())),
            ("experiment", pa.string()),
            ("product_variant", pa.string()),
            ("offer_variant", pa.string()),
            ("experiments", pa.list_(pa.string())),
            ("arms", pa.list_(pa.string())),
            ("screen", pa.string()),
            ("placement", pa.string()),
            ("search_family", pa.string()),
            ("cart", pa.list_(pa.string())),
            ("basket_product", pa.string()),
            ("item_ids", pa.list_(pa.string())),
            ("item_tiers", pa.list_(pa.string())),
            ("item_scores", pa.list_(pa.float64())),
            ("propensities", pa.list_(pa.float64())),
        ]
    ),
)
SUPPRESSED = DayLog(
    "suppressions",
    pa.schema(
        [
            ("accepted_at", _TIME),
            ("suppression_id", pa.string()),
            ("place", pa.uint32()),
            ("user_id", pa.int64()),
            ("kind", pa.string()),
            ("channel", pa.string()),
            ("product_id", pa.string()),
            ("family", pa.string()),
            ("until", _TIME),
            ("reason", pa.string()),
            ("actor", pa.string()),
            ("idempotency_key", pa.string()),
        ]
    ),
)
LIFTED = DayLog(
    "suppression_lifts",
    pa.schema(
        [
            ("lifted_at", _TIME),
            ("suppression_id", pa.string()),
            ("place", pa.uint32()),
            ("user_id", pa.int64()),
            ("lift_id", pa.string()),
            ("reason", pa.string()),
            ("actor", pa.string()),
            ("idempotency_key", pa.string()),
        ]
    ),
)
DAY_LOGS: Mapping[str, DayLog] = {"recommendation.feedback": _FEEDBACK, "recommendation.exposures": _EXPOSURES}


def columns_of(log: DayLog, events: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Events as rows of the table; an exposure's items become arrays of equal length, in the order of positions."""
    return pa.Table.from_pylist([_row(event) for event in events], schema=log.columns)


def put_log(store: Store, log: DayLog, events: Sequence[Mapping[str, Any]]) -> None:
    store.insert(log.table, columns_of(log, events))


def forget_user(store: Store, user_id: int) -> None:
    """Take a person out of these tables, at once."""
    for table in (*(log.table for log in (*DAY_LOGS.values(), SUPPRESSED, LIFTED)), "audience_members"):
        store.run("erase/delete", table=table, user_id=user_id)


def _row(event: Mapping[str, Any]) -> Mapping[str, Any]:
    items = event.get("items")
    if items is None:
        return event
    assignments = event.get("assignments", ())
    return {
        **event,
        "experiments": [one["experiment"] for one in assignments],
        "arms": [one["arm"] for one in assignments],
        "item_ids": [item["item_id"] for item in items],
        "item_tiers": [item["tier"] for item in items],
        "item_scores": [item["score"] for item in items],
        "propensities": [item["propensity"] for item in items],
    }
