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
    CONFIRMING = "confirming"
    SENT = "sent"
    CANCELLED = "cancelled"


# What counts, where there are several: nothing but these follows on one of them.
_LAST = (Step.CANCELLED, Step.SENT, Step.CONFIRMING, Step.WRITTEN)


@dataclass(frozen=True)
class Export:
    """Where one stands, since when, and what is known of it; `request` as it was first asked.

    `attempt`: of its writers the one that was begun last; only that one may finish. `seconds_ago`: since its newest
    step, by ClickHouse's own clock.
    """

    export_id: str
    step: Step
    at: datetime
    request: Mapping[str, Any]
    told: Mapping[str, Any]
    attempt: str
    seconds_ago: int


@dataclass(frozen=True)
class _Taken:
    """A step: when it was first and last taken, what was asked at it, and what it told last."""

    first: datetime
    last: datetime
    request: Mapping[str, Any]
    told: Mapping[str, Any]
    seconds_ago: int


def export_of(store: Store, export_id: str) -> Export | None:
    """None where there is none of this id. Of a step that was asked for in two ways, the first is the one that counts;
    so is the first of a cancellation and a confirmation.
    """
    steps: dict[Step, _Taken] = {}
    for step, request, first, last, told, ago in store.rows("exports_v1/of_id", export_id=export_id):
        taken = _Taken(first.astimezone(UTC), last.astimezone(UTC), json.loads(request), json.loads(told), ago)
        steps.setdefault(Step(step), taken)
    if not steps:
        return None
    if Step.CANCELLED in steps and Step.CONFIRMING in steps:
        del steps[max(Step.CONFIRMING, Step.CANCELLED, key=lambda one: steps[one].first)]
    return _export(export_id, steps)


def _export(export_id: str, steps: Mapping[Step, _Taken]) -> Export:
    step = next((one for one in _LAST if one in steps), None) or max(steps, key=lambda one: steps[one].last)
    asked = steps.get(Step.ASKED, steps[step])
    written = steps[Step.WRITTEN].told if Step.WRITTEN in steps else {}
    told = {**written, **(steps[step].told if step is not Step.ASKED else {})}
    at = steps[step].first if step is Step.CONFIRMING else steps[step].last
    ago = min(one.seconds_ago for one in steps.values())
    return Export(export_id, step, at, asked.request, told, asked.told.get("attempt", ""), ago)


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
