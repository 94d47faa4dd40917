"""What an experiment's users were shown and did about it, from the events that landed in the lake.

The twin of sql/experiment_log.py, for installations whose exposures and feedback go to Kafka: the same columns, so that
one report reads either. What was delivered twice counts once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from data_contracts.columns import EVENT_TIME, EVENT_TYPE, ITEM_ID, USER_ID
from data_contracts.experiments import Experiment, arm_numbers
from spark_jobs.lake.landed import landed_events

EXPOSURES, FEEDBACK = "recommendation.exposures", "recommendation.feedback"
_TIME = pa.timestamp("us", "UTC")
_EXPOSURES = pa.schema(
    [
        (USER_ID, pa.int64()),
        ("rec_id", pa.string()),
        (EVENT_TIME, _TIME),
        ("kind", pa.string()),
        ("variant", pa.string()),
        ("item_ids", pa.list_(pa.string())),
        ("item_scores", pa.list_(pa.float64())),
        ("propensities", pa.list_(pa.float64())),
        ("arm", pa.string()),
    ]
)
_FEEDBACK = pa.schema(
    [
        (USER_ID, pa.int64()),
        ("rec_id", pa.string()),
        (ITEM_ID, pa.string()),
        (EVENT_TYPE, pa.string()),
        (EVENT_TIME, _TIME),
    ]
)
_ORDER = [(USER_ID, "ascending"), (EVENT_TIME, "ascending"), ("rec_id", "ascending")]

Event = Mapping[str, Any]


@dataclass(frozen=True)
class LandedLog:
    """exposures: an answer a row, `dealt` the place from 1 of the arm that the hash gives, 0 for none; feedback: an
    event a row, of whoever was exposed, also before the start.
    """

    exposures: pa.Table
    feedback: pa.Table


def landed_log(lake: str, experiment: Experiment, *, start: datetime, until: datetime, before: timedelta) -> LandedLog:
    """`before`: how long before the start feedback is read, too."""
    exposures = pa.Table.from_pylist(
        [
            _exposure(event, arm)
            for event in _between(lake, EXPOSURES, start, until)
            if (arm := _arm(event, experiment.name)) is not None
        ],
        schema=_EXPOSURES,
    ).sort_by(_ORDER)
    users = exposures[USER_ID].to_numpy()
    members = set(users.tolist())
    feedback = [
        {name: event[name] for name in _FEEDBACK.names}
        for event in _between(lake, FEEDBACK, start - before, until)
        if event[USER_ID] in members
    ]
    dealt = pa.array(arm_numbers(experiment, users) + 1, pa.int64())
    return LandedLog(
        exposures.append_column("dealt", dealt), pa.Table.from_pylist(feedback, schema=_FEEDBACK).sort_by(_ORDER)
    )


def _between(lake: str, topic: str, start: datetime, end: datetime) -> Iterator[Event]:
    """Each event once. Days are looked at a day further on either side: whose they are is the lander's to say."""
    known: set[str] = set()
    for event in landed_events(lake, topic, _days(start - timedelta(days=1), end + timedelta(days=1))):
        if start <= event[EVENT_TIME] < end and event["event_id"] not in known:
            known.add(event["event_id"])
            yield event


def _days(first: datetime, last: datetime) -> Iterable[date]:
    day, end = (moment.astimezone(UTC).date() for moment in (first, last))
    return (day + timedelta(days=more) for more in range((end - day).days + 1))


def _arm(event: Event, name: str) -> str | None:
    return next((str(one["arm"]) for one in event["assignments"] if one["experiment"] == name), None)


def _exposure(event: Event, arm: str) -> Event:
    items = sorted(event["items"], key=lambda item: item["position"])
    return {
        USER_ID: event[USER_ID],
        "rec_id": event["rec_id"],
        EVENT_TIME: event[EVENT_TIME],
        "kind": event["kind"],
        "variant": event["variant"],
        "item_ids": [item["item_id"] for item in items],
        "item_scores": [item["score"] for item in items],
        "propensities": [item["propensity"] for item in items],
        "arm": arm,
    }
