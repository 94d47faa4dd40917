"""Schemathesis in scenarios: what one call answers goes into the next."""

from collections.abc import Callable
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings


def follow_chains(app: FastAPI, send: Callable[[schemathesis.Case], Any], *, examples: int) -> set[tuple[str, int]]:
    """Label and status of each call, in chains of up to eight. `send` answers one, and fails where that will not do."""
    schema = schemathesis.openapi.from_dict(app.openapi()).exclude(path="/metrics")
    statuses: set[tuple[str, int]] = set()

    class Scenario(schema.as_state_machine()):  # type: ignore[misc]
        def call(self, case: Any, **_: Any) -> Any:
            answer = send(case)
            statuses.add((case.operation.label, answer.status_code))
            return schemathesis.Response.from_any(answer)

        def validate_response(self, *_: Any, **__: Any) -> None:
            """Only that nothing breaks."""

    Scenario.run(
        settings=settings(
            max_examples=examples,
            stateful_step_count=8,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
    )
    return statuses
