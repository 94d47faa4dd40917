"""The embedded stack: ClickHouse, Kafka, the overlay, the API and, for development, the Dagster UI, supervised."""

import os
import shlex
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dagster import DagsterInstance
from honcho.manager import Manager
from pydantic import SecretStr

from data_contracts.errors import BusyError, InputError, UnavailableError
from data_contracts.settings import Settings
from infra.console import console
from infra.dagster_runs import close_dead_runs
from infra.local.clickhouse.running import running_clickhouse
from infra.night import dagster_home
from infra.tokens import ensure_issuer

_LOCAL_HOSTS = {"localhost", "127.0.0.1"}
_READY_SECONDS = 60


@dataclass(frozen=True)
class Service:
    """A process of the stack: its command, the port it takes, and the URL that answers once it is ready.

    `tcp://` is answered by whoever accepts connections; a process without a port (0) is not waited for.
    """

    name: str
    command: Sequence[str]
    port: int = 0
    ready_url: str = ""


def clickhouse_folder(settings: Settings) -> Path:
    return settings.data_dir / "clickhouse"


def is_embedded(settings: Settings) -> bool:
    """Whether ClickHouse is ours to start: its URL points at this machine and nothing answers there."""
    url = urlsplit(settings.clickhouse_url)
    return url.hostname in _LOCAL_HOSTS and not _answers(f"{settings.clickhouse_url}/ping")


@contextmanager
def clickhouse(settings: Settings) -> Iterator[Settings]:
    """Settings under which ClickHouse answers: the one that runs already, else an embedded one for this block."""
    if not is_embedded(settings):
        yield settings
        return
    with running_clickhouse(clickhouse_folder(settings)) as url:
        yield settings.model_copy(update={"clickhouse_url": url})


def services(
    settings: Settings, *, with_dagster: bool, with_kafka: bool = False, with_overlay: bool = False
) -> list[Service]:
    """`with_kafka`: a broker of our own; `with_overlay`: what brings events from Kafka, ours or not, into answers."""
    python = sys.executable
    port = urlsplit(settings.clickhouse_url).port or 8123
    wanted = [_kafka(settings)] if with_kafka else []
    if is_embedded(settings):
        folder = str(clickhouse_folder(settings))
        command = [python, "-m", "infra.local.clickhouse", "--path", folder, "--port", str(port)]
        wanted.append(Service("clickhouse", command, port, f"{settings.clickhouse_url}/ping"))
    wanted.append(Service("api", [python, "-m", "api"], settings.api_port, _api_ready(settings)))
    if settings.grpc_port:
        at = settings.grpc_port
        wanted.append(Service("grpc", [python, "-m", "api.grpc"], at, f"tcp://127.0.0.1:{at}"))
    if with_overlay:
        # It waits by itself for ClickHouse and Kafka.
        wanted.append(Service("overlay", [python, "-m", "infra.cli", "overlay", "--quiet"]))
    if with_dagster:
        dagster = [python, "-m", "dagster", "dev", "-m", "dagster_project.definitions"]
        dagster += ["--host", "127.0.0.1", "--port", str(settings.dagster_port)]
        ready = f"http://127.0.0.1:{settings.dagster_port}/server_info"
        wanted.append(Service("dagster", dagster, settings.dagster_port, ready))
    return wanted


def _api_ready(settings: Settings) -> str:
    """With TLS only that it listens, which it does once it is ready: who is no client of its has no certificate."""
    if settings.tls_certificate is not None:
        return f"tcp://127.0.0.1:{settings.api_port}"
    return f"http://127.0.0.1:{settings.api_port}/healthz"


def _kafka(settings: Settings) -> Service:
    """A broker where RECS_KAFKA_BOOTSTRAP points. Raises InputError when that is not on this machine."""
    host, _, port = settings.kafka_bootstrap.partition(":")
    if host not in _LOCAL_HOSTS or not port.isdigit():
        raise InputError(f"a broker can be started on this machine, not at {settings.kafka_bootstrap}: give --no-kafka")
    command = [sys.executable, "-m", "infra.local.kafka", "--path", str(settings.data_dir / "kafka"), "--port", port]
    return Service("kafka", command, int(port), f"tcp://127.0.0.1:{port}")


def starts_kafka(settings: Settings) -> bool:
    """Whether Kafka is ours to start: the setting points at this machine and nobody answers there."""
    host, _, port = settings.kafka_bootstrap.partition(":")
    return host in _LOCAL_HOSTS and port.isdigit() and not _answers(f"tcp://{host}:{port}")


def run_stack(
    settings: Settings, *, with_dagster: bool, with_kafka: bool | None = None, with_overlay: bool = True
) -> int:
    """Start the stack and stay until Ctrl-C; returns the exit code. Raises BusyError when a port is taken.

    `with_kafka` None: a broker where the overlay needs one and none is there.
    """
    starts_broker = with_overlay and starts_kafka(settings) if with_kafka is None else with_kafka
    wanted = services(settings, with_dagster=with_dagster, with_kafka=starts_broker, with_overlay=with_overlay)
    for service in wanted:
        _refuse_taken(service)
    if with_dagster:
        _close_dead_runs(settings)
    ensure_issuer(settings)
    manager = Manager()
    variables = dict(environment(settings))
    if with_overlay and "events_to" not in settings.model_fields_set:
        # The overlay reads feedback from Kafka, as it reads all events.
        variables["RECS_EVENTS_TO"] = "kafka"
    for service in wanted:
        manager.add_process(service.name, shlex.join(service.command), env=variables)
    threading.Thread(target=_announce, args=(wanted,), daemon=True).start()
    manager.loop()
    # Ctrl-C and a polite kill are how the stack is meant to end.
    return 0 if manager.returncode in (0, 130, 143, -2, -15) else int(manager.returncode or 1)


def _close_dead_runs(settings: Settings) -> None:
    with DagsterInstance.from_config(str(dagster_home(settings))) as instance:
        for run_id in close_dead_runs(instance, untagged=True):
            console.print(f"run {run_id[:8]} was left by a process that was killed: marked as failed")


def wait_until_ready(url: str, *, seconds: float = _READY_SECONDS) -> None:
    """Raises UnavailableError when nothing answers in time."""
    deadline = time.monotonic() + seconds
    while not _answers(url):
        if time.monotonic() > deadline:
            raise UnavailableError(f"{url} did not answer within {seconds:.0f} s: see its log above")
        time.sleep(0.1)


def _announce(wanted: Sequence[Service]) -> None:
    try:
        for service in wanted:
            if service.port:
                wait_until_ready(service.ready_url)
    except UnavailableError as error:
        console.print(f"[red]{error}[/red]")
        return
    for service in wanted:
        scheme = urlsplit(service.ready_url).scheme
        at = f"{scheme}://127.0.0.1:{service.port}" if service.port else "brings Kafka's events into answers"
        page = f"; for people {at.replace('tcp', 'https')}/console" if service.name == "api" else ""
        console.print(f"[bold green]ready[/bold green] {service.name:<11}{at}{page}")
    console.print("Ctrl-C stops everything.")


def environment(settings: Settings) -> Mapping[str, str]:
    """All settings that were given, by flags too, for the processes of the stack. Secrets they inherit."""
    secrets = {name for name in settings.model_fields_set if isinstance(getattr(settings, name), SecretStr)}
    given = settings.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude=secrets)
    return {
        # A sample world keeps its date, however late it is looked at; logs go to this terminal, through a pipe.
        "RECS_MAX_SNAPSHOT_AGE_DAYS": "36500",
        "RECS_LOG_FORMAT": "text",
        **os.environ,
        **{f"RECS_{name.upper()}": _text(value) for name, value in given.items()},
        "PYTHONUNBUFFERED": "1",
        "DAGSTER_HOME": str(dagster_home(settings)),
        "RECS_DATA_DIR": str(settings.data_dir.absolute()),
        "RECS_LAKE": settings.lake_uri,
        "RECS_CLICKHOUSE_URL": settings.clickhouse_url,
    }


def _text(value: object) -> str:
    """A setting as its environment variable holds it; several values are comma separated."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _refuse_taken(service: Service) -> None:
    if not service.port:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", service.port))
        except OSError as error:
            raise BusyError(
                f"port {service.port} for {service.name} is taken: stop what uses it or choose another port"
            ) from error


def _answers(url: str) -> bool:
    at = urlsplit(url)
    try:
        if at.scheme == "tcp":
            socket.create_connection((at.hostname or "", at.port or 0), timeout=1).close()
            return True
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own services, by http
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
