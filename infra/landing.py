"""Commands about bank events: `recs land`, `recs dlq`, `recs produce`, `recs schemas`."""

import logging
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_contracts.errors import InputError
from data_contracts.settings import Settings
from infra.console import console, errors, show, show_json
from infra.options import AsJson

if TYPE_CHECKING:
    from spark_jobs.landing.batches import Landed

Topics = Annotated[
    list[str] | None, typer.Option("--topic", help="Only this topic; may be given again. [default: all]")
]

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: messages that could not be read as events.")


def land(
    once: Annotated[bool, typer.Option("--once", help="Land what is there now, then end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Land bank events from Kafka in the lake, each exactly once, until Ctrl-C or SIGTERM.

    Any number may run at once: they share the partitions of the topics.

    Examples: `recs land`, `recs land --once --json`
    """
    from api.logs import write_logs
    from spark_jobs.landing.batches import total
    from spark_jobs.landing.run import land as run

    settings = Settings()
    write_logs(settings.log_format, key=settings.signing_key, level=logging.WARNING)
    told_to_stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told_to_stop.append(number))
    flushes: list[Landed] = []

    def tell(flush: "Landed") -> None:
        flushes[:] = [total([*flushes, flush])]
        if not as_json:
            console.print(_line(flush))

    left_out = run(settings, once=once, is_stopped=lambda: bool(told_to_stop), tell=tell)
    for message, names in left_out.items():
        errors.print(f"[yellow]{message}[/yellow]: newer than ours; left out: {', '.join(names)}")
    summary = total(flushes)
    if as_json:
        show_json({**vars(summary), "left_out": left_out})
    elif not flushes:
        console.print("nothing new")


@dlq.command("show")
def show_letters(topic: Topics = None, as_json: AsJson = False) -> None:
    """List the dead letters, what is wrong with each, and whether it was sent again. Contents are not shown.

    Example: `recs dlq show --topic bank.transactions`
    """
    from spark_jobs.landing import replay

    rows = [
        {
            "topic": one.letter.topic,
            "origin": one.letter.origin,
            "arrived": _moment(one.letter.arrived),
            "bytes": None if one.letter.is_left_out else len(one.letter.payload or b""),
            "attempts": one.letter.attempts,
            "state": "replayed" if one.is_replayed else "too large" if one.letter.is_left_out else "waiting",
            "reason": one.letter.reason,
        }
        for one in replay.show(Settings(), topic or ())
    ]
    show(rows, as_json=as_json, title="dead letters")


@dlq.command("replay")
def replay_letters(
    topic: Topics = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, oldest first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send the dead letters that wait to their topics again, once the cause is mended. Twice does no harm.

    Example: `recs dlq replay --topic bank.transactions --limit 100`
    """
    from spark_jobs.landing import replay

    sent = replay.replay(Settings(), topic or (), limit=limit)
    rows = [{"topic": one.topic, "origin": one.origin, "attempts": one.attempts} for one in sent]
    show(rows, as_json=as_json, title="sent again")


def produce(
    world: Annotated[Path, typer.Option(help="A folder of `recs world`.")],
    topic: Topics = None,
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Only this day. [default: all]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send the bank events of a sample world to Kafka, as their producers would have on the day.

    Example: `recs produce --world world --date 2026-03-15`
    """
    from infra.local.world.produce import produce_events

    if not (world / "events").is_dir():
        raise InputError(f"{world}: no events in it; make a world with recs world --out {world}")
    sent = produce_events(Settings(), world / "events", topic or (), day=day.date() if day else None)
    show([{"topic": name, "events": count} for name, count in sent.items()], as_json=as_json, title="sent")


def schemas(
    register: Annotated[bool, typer.Option("--register", help="Put them all into the schema registry.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the versions of the events' schemas; `--register` needs RECS_SCHEMA_REGISTRY_URL.

    Examples: `recs schemas`, `recs schemas --register`
    """
    from data_contracts.events import TOPICS, versions
    from data_contracts.events.registry import ConfluentRegistry, registry

    numbers: dict[str, int] = {}
    if register:
        known = registry(Settings())
        if not isinstance(known, ConfluentRegistry):
            raise InputError("no schema registry: set RECS_SCHEMA_REGISTRY_URL")
        numbers = known.register_kept()
    rows: list[dict[str, Any]] = [
        {
            "topic": topic,
            "version": schema.version,
            "record": schema.full_name,
            "idempotency key": schema.idempotency_key,
            "event time": schema.event_time,
            "producer": schema.producer,
            **({"number": numbers[f"{topic} {schema.version}"]} if register else {}),
        }
        for topic in TOPICS
        for schema in versions(topic)
    ]
    show(rows, as_json=as_json, title="schemas of events")


def register(app: typer.Typer) -> None:
    """Put these commands into `recs`."""
    for command in (land, produce, schemas):
        app.command()(command)
    app.add_typer(dlq, name="dlq")


def _line(flush: "Landed") -> str:
    """Such as `14:02:11 landed 12034 in 24 files · 3 repeated · 1 late … · 7 waiting`."""
    parts = [f"{datetime.now():%H:%M:%S} landed {sum(flush.landed.values())} in {flush.files} files"]
    parts += [f"{flush.repeated} repeated"] if flush.repeated else []
    parts += [f"{count} quarantined: {reason}" for reason, count in flush.quarantined.items()]
    parts += [f"{count} dead letters: {reason}" for reason, count in flush.dead.items()]
    parts += [f"{flush.behind} waiting"] if flush.behind else []
    return " · ".join(parts)


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(max(milliseconds, 0) / 1000, UTC):%Y-%m-%d %H:%M:%S}"
