"""The command `recs topics`: Kafka's topics as their file defines them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from data_contracts.settings import Settings
from data_contracts.topics import DEFINITIONS, wanted_topics
from infra.console import console, show
from infra.options import AsJson


def topics(
    apply: Annotated[bool, typer.Option("--apply", help="Do it. [default: only tell what differs]")] = False,
    file: Annotated[Path, typer.Option(help="Definitions.")] = DEFINITIONS,
    allow_loss: Annotated[
        list[str] | None,
        typer.Option(help="A topic of which data may be deleted, such as by a shorter retention; may be given again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how Kafka's topics differ from their definitions, and with --apply make them so.

    Applied again it changes nothing. When one difference would lose data or is not possible, nothing is applied.

    Examples: `recs topics`, `recs topics --apply`, `recs topics --apply --allow-loss digital.telemetry`
    """
    from infra.topic_admin import apply_plan, plan_topics

    settings = Settings()
    plan = plan_topics(settings, file)
    if apply:
        apply_plan(settings, plan, wanted_topics(file), may_lose=frozenset(allow_loss or ()))
    if not plan and not as_json:
        console.print("topics are as defined")
        return
    show([asdict(one) for one in plan], as_json=as_json, title="made so" if apply else "differs; --apply makes it so")
