"""The command `recs overlay`: streamed events into ClickHouse, for look-ups."""

import logging
import signal
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from data_contracts.errors import UnavailableError
from data_contracts.settings import Settings
from infra.console import console

if TYPE_CHECKING:
    from api.overlay_writer import Stored

_RETRY_SECONDS = 0.5
_LOG = logging.getLogger("recs.overlay")


def overlay(
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell only of trouble.")] = False,
) -> None:
    """Bring bank events from Kafka into answers, until Ctrl-C or SIGTERM.

    Any number may run at once: they share the partitions of the topics.

    Example: `recs overlay`
    """
    from api.logs import write_logs

    settings = Settings()
    write_logs(settings.log_format, key=settings.signing_key, level=logging.WARNING)
    for vendor in ("urllib3", "clickhouse_connect"):
        # A line for each attempt while the server is away: what matters is told by us, once.
        logging.getLogger(vendor).setLevel(logging.CRITICAL)
    told_to_stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told_to_stop.append(number))
    run(
        settings,
        is_stopped=lambda: bool(told_to_stop),
        tell=(lambda _: None) if quiet else lambda stored: console.print(_line(stored)),
    )


def run(settings: Settings, *, is_stopped: Callable[[], bool], tell: "Callable[[Stored], None]") -> None:
    """Wait for ClickHouse and Kafka, make what they lack, and write until told to stop."""
    from api.overlay_writer import OverlayWriter
    from api.traces import Traces
    from data_contracts.events.registry import registry
    from spark_jobs.landing.clients import ensure_topics, translated
    from sql.client import Address, connected
    from sql.migrate import migrate
    from sql.user_events import put_beat, put_events

    address, name = Address.of(settings), uuid4().hex

    def prepare() -> None:
        migrate(address)
        ensure_topics(settings)

    if not _until_there(prepare, is_stopped):
        return
    with translated(settings), closing(Traces.of(settings)) as traces:
        while not is_stopped():
            try:
                with connected(address) as store:
                    OverlayWriter(
                        settings,
                        registry(settings),
                        put=partial(put_events, store),
                        beat=lambda lag: put_beat(store, name, lag_seconds=lag),
                        tell=tell,
                        is_stopped=is_stopped,
                        traces=traces,
                    ).run()
            except UnavailableError as error:
                # Only connecting raises it: a writer waits by itself.
                _LOG.warning("%s; trying again", error)
                time.sleep(_RETRY_SECONDS)


def _until_there(prepare: Callable[[], None], is_stopped: Callable[[], bool]) -> bool:
    """False when told to stop before."""
    is_told = False
    while not is_stopped():
        try:
            prepare()
        except UnavailableError as error:
            if not is_told:
                _LOG.warning("%s; trying again", error)
                is_told = True
            time.sleep(_RETRY_SECONDS)
        else:
            return True
    return False


def _line(stored: "Stored") -> str:
    """Such as `14:02:11 stored 212 events · 31 unneeded · oldest 0.2 s · 7 waiting`."""
    parts = [f"{datetime.now():%H:%M:%S} stored {stored.stored} events"]
    parts += [f"{stored.unneeded} unneeded"] if stored.unneeded else []
    parts += [f"{stored.undecodable} undecodable"] if stored.undecodable else []
    parts += [f"oldest {stored.seconds:.1f} s"] if stored.stored else []
    parts += [f"{stored.behind} waiting"] if stored.behind else []
    return " · ".join(parts)
