"""A real PostgreSQL of the machine for a test, with passwords; none is run as root, as PostgreSQL wants it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from infra.local.embedded import free_port

OWNER, PASSWORD = "recs", "swordfish-1"
_READY_SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    port: int

    def url(self, database: str = "postgres") -> str:
        """Without a password, as settings have it."""
        return f"postgresql+psycopg2://{OWNER}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, *, password: str = PASSWORD, database: str = "postgres") -> list[tuple[object, ...]]:
        given = {"host": "127.0.0.1", "port": self.port, "user": OWNER, "password": password, "dbname": database}
        with closing(psycopg2.connect(**given)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []


def _program(name: str) -> str:
    places = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found = shutil.which(name) or next((str(place / name) for place in places), None)
    if found is None:
        pytest.skip(f"there is no PostgreSQL on this machine ({name}): apt-get install postgresql")
    return found


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    initdb, postgres = _program("initdb"), _program("postgres")
    account = pwd.getpwnam("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    folder = Path(tempfile.mkdtemp(prefix="recs-postgres-"))
    try:
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
        as_account = {"user": account.pw_uid, "group": account.pw_gid, "cwd": folder} if os.geteuid() == 0 else {}
        made = [
            initdb,
            "-D",
            f"{folder}/data",
            "-U",
            OWNER,
            "--auth=scram-sha-256",
            f"--pwfile={folder}/password",
            "-N",
        ]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, **as_account)
        server = Postgres(free_port())
        options = {"port": server.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        started = [postgres, "-D", f"{folder}/data", *(f"--{name}={value}" for name, value in options.items())]
        with subprocess.Popen(started, stderr=subprocess.DEVNULL, **as_account) as process:
            try:
                _wait(server)
                yield server
            finally:
                process.send_signal(signal.SIGINT)  # does not wait for those who are connected
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Postgres) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            server.run("SELECT 1")
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
        else:
            return
