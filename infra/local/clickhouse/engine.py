"""The engine: a folder, a lock on it, and connections that are lent to one query at a time.

chdb facts this rests on (4.4, checked by tests): a process opens one folder only, but any number of connections to it;
a connection runs one query at a time, several connections run in parallel without the GIL; `USE` and `SET` belong to
a connection; parameters arrive escaped as in ClickHouse's HTTP interface.
"""

import fcntl
import os
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chdb import _chdb  # the extension itself, in chdb's __all__: only it classifies statements and takes bytes

from data_contracts.errors import BusyError

_EXTENSION: Any = _chdb
_ERROR = re.compile(r"Code: (\d+)\. (DB::.*)", re.DOTALL)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMENTS = rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_INSERT = re.compile(_COMMENTS + rb"INSERT\b", re.IGNORECASE | re.DOTALL)
_CHANGES_CONNECTION = re.compile(
    _COMMENTS + rb"(?:SET|USE|CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY)\b", re.IGNORECASE | re.DOTALL
)

SYNTAX_ERROR, UNKNOWN_SETTING, READONLY, SESSION_IS_LOCKED = 62, 115, 164, 373


class EngineError(Exception):
    """An error with ClickHouse's number and text (`DB::Exception: …`)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"Code: {code}. {text}")
        self.code = code


@dataclass(frozen=True)
class Insert:
    """An INSERT whose data came with it: `head` is INSERT INTO … up to, without, SETTINGS and FORMAT."""

    head: bytes
    settings: bytes
    input_format: bytes
    data: bytes


@dataclass(frozen=True)
class Query:
    """`insert` instead of `sql` for data. `session` keeps SET, USE and temporary tables from one query to the next."""

    sql: bytes
    insert: Insert | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    database: str = "default"
    output_format: str = "TabSeparated"
    session: str | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Answer:
    body: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int
    result_rows: int
    seconds: float


class _Connection:
    """One engine connection and what is set on it."""

    def __init__(self, path: Path) -> None:
        self._chdb: Any = _EXTENSION.connect(str(path))
        self.database = "default"
        self.settings: dict[str, str] = {}
        # Whether something is set on it that we do not know of.
        self.is_soiled = False

    def suits(self, query: Query) -> bool:
        return self.database == query.database and self.settings == query.settings

    def run(self, query: Query) -> Answer:
        try:
            self.is_soiled = True
            self._prepare(query)
            self.is_soiled = bool(_CHANGES_CONNECTION.match(query.sql))
            result = self._insert(query.insert, query) if query.insert else self._execute(query.sql, query)
            return Answer(
                body=result.bytes(),
                read_rows=result.storage_rows_read(),
                read_bytes=result.storage_bytes_read(),
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                result_rows=result.rows_read(),
                seconds=result.elapsed(),
            )
        except RuntimeError as error:
            match = _ERROR.search(str(error))
            raise EngineError(int(match[1]) if match else 1002, match[2] if match else str(error)) from None

    def classify(self, sql: bytes) -> tuple[int, bool]:
        """Statements in `sql`, and whether it only reads."""
        verdict = self._chdb.classify_query(sql.decode("utf-8", "replace"))
        return int(verdict["statement_count"]), verdict["query_class"].name == "READ_ONLY"

    def close(self) -> None:
        self._chdb.close()

    def _execute(self, sql: bytes, query: Query) -> Any:
        return self._chdb.query(sql, query.output_format, params=dict(query.params))

    def _insert(self, insert: Insert, query: Query) -> Any:
        """By way of a file: data in the statement itself end at an empty line, and the library's streams are slow."""
        with tempfile.NamedTemporaryFile(suffix=".data") as file:
            file.write(insert.data)
            file.flush()
            infile = f" FROM INFILE '{_escaped(file.name)}' ".encode()
            return self._execute(insert.head + infile + insert.settings + b" FORMAT " + insert.input_format, query)

    def _prepare(self, query: Query) -> None:
        if query.database != self.database:
            name = query.database.replace("\\", "\\\\").replace("`", "\\`")
            self._chdb.query(f"USE `{name}`")
            self.database = query.database
        changes = [f"{name} = DEFAULT" for name in self.settings.keys() - query.settings.keys()]
        changes += [
            f"{_setting_name(name)} = '{_escaped(value)}'"
            for name, value in query.settings.items()
            if self.settings.get(name) != value
        ]
        if changes:
            self._chdb.query(f"SET {', '.join(changes)}")
            self.settings = dict(query.settings)


class Engine:
    """Opens a folder for this process alone. Raises BusyError when another process has it."""

    def __init__(self, path: Path, *, max_sessions: int = 64) -> None:
        self._path = path.absolute()
        self._path.mkdir(parents=True, exist_ok=True)
        self._lock_file = _locked(self._path)
        self._idle: list[_Connection] = [_Connection(self._path)]
        self._sessions: OrderedDict[str, _Connection] = OrderedDict()
        self._busy_sessions: set[str] = set()
        self._max_sessions = max_sessions
        self._mutex = threading.Lock()

    def run(self, query: Query) -> Answer:
        """Run one query on a connection of its own. Raises EngineError."""
        lend = self._session(query.session) if query.session else self._any(query)
        with lend as connection:
            _refuse_what_http_refuses(connection, query)
            return connection.run(query)

    def kill_queries(self) -> None:
        """End everything that runs, so that nobody waits for it."""
        self.run(Query(sql=b"KILL QUERY WHERE query_id != queryID() SYNC"))

    def close(self) -> None:
        """Close every connection and let go of the folder. No query may be running."""
        with self._mutex:
            for connection in (*self._idle, *self._sessions.values()):
                connection.close()
            self._idle.clear()
            self._sessions.clear()
        os.close(self._lock_file)

    @contextmanager
    def _any(self, query: Query) -> Iterator[_Connection]:
        with self._mutex:
            suiting = next((idle for idle in reversed(self._idle) if idle.suits(query)), None)
            connection = suiting or (self._idle[0] if self._idle else None)
            if connection is not None:
                self._idle.remove(connection)
        connection = connection or _Connection(self._path)
        try:
            yield connection
        finally:
            if connection.is_soiled:
                connection.close()
            else:
                with self._mutex:
                    self._idle.append(connection)

    @contextmanager
    def _session(self, name: str) -> Iterator[_Connection]:
        with self._mutex:
            if name in self._busy_sessions:
                raise EngineError(SESSION_IS_LOCKED, f"DB::Exception: Session {name} is locked by a concurrent client.")
            self._busy_sessions.add(name)
            connection = self._sessions.pop(name, None)
        try:
            connection = connection or _Connection(self._path)
            yield connection
        finally:
            with self._mutex:
                self._busy_sessions.discard(name)
                if connection is not None:
                    self._sessions[name] = connection
                if len(self._sessions) > self._max_sessions:
                    self._sessions.popitem(last=False)[1].close()


def _refuse_what_http_refuses(connection: _Connection, query: Query) -> None:
    """ClickHouse runs one statement a request, and only reads on GET; the library would run all."""
    has_more_statements = b";" in query.sql and not _INSERT.match(query.sql)
    if not (has_more_statements or query.read_only):
        return
    statements, reads = connection.classify(query.sql)
    if statements > 1:
        raise EngineError(
            SYNTAX_ERROR, "DB::Exception: Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)"
        )
    if query.read_only and statements and (query.insert or not reads):
        raise EngineError(READONLY, "DB::Exception: Cannot execute query in readonly mode; use POST. (READONLY)")


def _locked(path: Path) -> int:
    """A lock that the kernel drops when the process ends, however it ends."""
    descriptor = os.open(path / "server.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode() or "unknown"
        os.close(descriptor)
        raise BusyError(f"{path} is in use by another ClickHouse server (process {owner}): stop it first") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _setting_name(name: str) -> str:
    if not _SETTING_NAME.fullmatch(name):
        raise EngineError(UNKNOWN_SETTING, f"DB::Exception: Unknown setting '{name}'. (UNKNOWN_SETTING)")
    return name


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
