"""The book of exports: every step is a row, and where an export stands follows from its steps."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sql.client import Store


class Step(StrEnum):
    ASKED = "asked"
    RUNNING = "running"
    FAILED = "failed"
    WRITTEN = "written"
    SENT = "sent"
    CANCELLED = "cancelled"


# What counts, where there are several: nothing follows on the last three.
_LAST = (Step.CANCELLED, Step.SENT, Step.WRITTEN)


@dataclass(frozen=True)
class Export:
    """Where one stands, since when, and what is known of it; `request` as it was first asked.

    `seconds_ago`: since its newest step, by ClickHouse's own clock.
    """

    export_id: str
    step: Step
    at: datetime
    request: Mapping[str, Any]
    told: Mapping[str, Any]
    seconds_ago: int


def export_of(store: Store, export_id: str) -> Export | None:
    """None where there is none of this id."""
    steps = {}
    request: Mapping[str, Any] = {}
    for step, at, _, asked, told, ago in store.rows("exports_v1/of_id", export_id=export_id):
        steps[Step(step)] = (at.astimezone(UTC), json.loads(told), ago)
        request = json.loads(asked) if step == Step.ASKED else request
    if not steps:
        return None
    step = next((one for one in _LAST if one in steps), None) or max(steps, key=lambda one: steps[one][0])
    at, told, _ = steps[step]
    written = steps[Step.WRITTEN][1] if Step.WRITTEN in steps else {}
    return Export(export_id, step, at, request, {**written, **told}, min(ago for *_, ago in steps.values()))


def newest_exports(store: Store, *, most: int) -> list[Export]:
    """Those that were asked for last, newest first."""
    ids = [export_id for (export_id,) in store.rows("exports_v1/newest", most=most)]
    found = (export_of(store, export_id) for export_id in ids)
    return [one for one in found if one is not None]


def put_step(
    store: Store, export_id: str, step: Step, *, actor: str, request: Mapping[str, Any], told: Mapping[str, Any]
) -> None:
    store.run(
        "exports_v1/put",
        export_id=export_id,
        step=step.value,
        actor=actor,
        request=json.dumps(request, sort_keys=True),
        told=json.dumps(told, sort_keys=True),
    )
