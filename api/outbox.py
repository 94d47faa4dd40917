"""Events on their way out, kept on disk until who is meant to have them has said so.

One SQLite file a topic, in WAL mode: what `put` accepted survives a kill -9 and, when durable, a power cut. The file is
bounded by a number of events; a full one takes no more. Processes may share a file: each event is in it once, by its
id. The idempotency keys of callers are known for a while, and as many of them as there may be events. All calls block,
so the event loop makes them in a thread.
"""

import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path

from data_contracts.errors import UnavailableError

_TABLES = (
    # A number is never used again, so that removing up to one cannot take what came later.
    "CREATE TABLE IF NOT EXISTS waiting"
    " (seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, event BLOB NOT NULL,"
    " trace TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE IF NOT EXISTS refused (event_id TEXT PRIMARY KEY, event BLOB NOT NULL, why TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS keys (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,"
    " event_id TEXT NOT NULL, user_id INTEGER NOT NULL, at REAL NOT NULL)",
)
# The oldest first, and few in one go; there are never many more than may be known.
_FORGET_KEYS = (
    "DELETE FROM keys WHERE seq IN (SELECT seq FROM keys ORDER BY seq LIMIT 1000)"
    " AND (at < ? OR seq <= (SELECT max(seq) FROM keys) - ?)"
)
_COUNT_USER = """
SELECT (SELECT count(*) FROM waiting WHERE json_extract(CAST(event AS TEXT), '$.user_id') = :user_id)
     + (SELECT count(*) FROM refused WHERE json_extract(CAST(event AS TEXT), '$.user_id') = :user_id)
     + (SELECT count(*) FROM keys WHERE user_id = :user_id)
"""
_ERASE_USER = (
    "DELETE FROM waiting WHERE json_extract(CAST(event AS TEXT), '$.user_id') = :user_id",
    "DELETE FROM refused WHERE json_extract(CAST(event AS TEXT), '$.user_id') = :user_id",
    "DELETE FROM keys WHERE user_id = :user_id",
)
# For another process that writes at this moment.
_BUSY_SECONDS = 5.0


@dataclass(frozen=True)
class Key:
    """A caller's idempotency key: `name` is the same for the same key of the same user, and for no other."""

    name: str
    user_id: int


@dataclass(frozen=True)
class Entry:
    """`event` is a JSON document with the fields of the topic's schema; `key` is good for this event alone.

    `trace`: the traceparent (W3C) of the request that it is of, "" where that is not traced.
    """

    event_id: str
    event: bytes
    key: Key | None = None
    trace: str = ""


class Put(Enum):
    KEPT = auto()  # now, or before
    NO_ROOM = auto()
    OTHER_KEY = auto()  # its key was used for another event


@dataclass(frozen=True)
class Waiting:
    seq: int
    entry: Entry


class Outbox:
    """Safe to share between threads. Raises UnavailableError when the disk refuses."""

    def __init__(self, path: Path, *, most: int, is_durable: bool, keys_known: timedelta = timedelta(hours=24)) -> None:
        self.path = path
        self._most = most
        self._keys_known = keys_known.total_seconds()
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            # What has gone is overwritten: it told of people.
            self._db.execute("PRAGMA secure_delete = ON")
            for table in _TABLES:
                self._db.execute(table)
            self._add_what_older_files_lack()
        except sqlite3.Error as error:
            raise UnavailableError(f"{path}: the outbox cannot be opened: {error}") from error
        self.depth = self._count()

    def _add_what_older_files_lack(self) -> None:
        if "trace" not in {row[1] for row in self._db.execute("PRAGMA table_info(waiting)")}:
            self._db.execute("ALTER TABLE waiting ADD COLUMN trace TEXT NOT NULL DEFAULT ''")

    def put(self, entries: Sequence[Entry]) -> list[Put]:
        """What became of each. One transaction."""
        now = time.time()
        with self._transaction():
            self._db.execute(_FORGET_KEYS, (now - self._keys_known, self._most))
            self.depth = self._count()
            return [self._put(entry, now) for entry in entries]

    def _put(self, entry: Entry, now: float) -> Put:
        if entry.key and (used := self._used_for(entry.key)):
            return Put.KEPT if used == entry.event_id else Put.OTHER_KEY
        is_new = self.depth < self._most and self._added(entry)
        if not is_new and not self._holds(entry.event_id):
            return Put.NO_ROOM
        self.depth += is_new
        if entry.key:
            row = (entry.key.name, entry.event_id, entry.key.user_id, now)
            self._db.execute("INSERT INTO keys (key, event_id, user_id, at) VALUES (?, ?, ?, ?)", row)
        return Put.KEPT

    def first(self, most: int) -> list[Waiting]:
        """The oldest, in the order in which they came."""
        with self._transaction():
            statement = "SELECT seq, event_id, event, trace FROM waiting ORDER BY seq LIMIT ?"
            rows = self._db.execute(statement, (most,)).fetchall()
        return [Waiting(seq, Entry(event_id, event, trace=trace)) for seq, event_id, event, trace in rows]

    def remove(self, delivered: Sequence[Waiting]) -> None:
        with self._transaction():
            self._db.executemany("DELETE FROM waiting WHERE seq = ?", [(one.seq,) for one in delivered])
            self.depth = self._count()

    def set_aside(self, one: Waiting, why: str) -> None:
        """Out of the way of the others, but not lost: what the receiver would never take."""
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO refused VALUES (?, ?, ?)", (one.entry.event_id, one.entry.event, why)
            )
            self._db.execute("DELETE FROM waiting WHERE seq = ?", (one.seq,))
            self.depth = self._count()

    def rows_of(self, user_id: int) -> int:
        """What waits, was refused or is known of a user."""
        with self._transaction():
            return int(self._db.execute(_COUNT_USER, {"user_id": user_id}).fetchone()[0])

    def erase_user(self, user_id: int) -> None:
        """Also from what is left on disk: pages that are free, and the log of writes."""
        with self._transaction():
            for statement in _ERASE_USER:
                self._db.execute(statement, {"user_id": user_id})
            self.depth = self._count()
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _count(self) -> int:
        """Never too low: events leave in the order in which they came, so counting each time is not needed."""
        oldest, newest = self._db.execute(
            "SELECT (SELECT min(seq) FROM waiting), (SELECT max(seq) FROM waiting)"
        ).fetchone()
        return 0 if oldest is None else int(newest - oldest + 1)

    def _added(self, entry: Entry) -> bool:
        statement = "INSERT OR IGNORE INTO waiting (event_id, event, trace) VALUES (?, ?, ?)"
        return self._db.execute(statement, (entry.event_id, entry.event, entry.trace)).rowcount == 1

    def _used_for(self, key: Key) -> str:
        """The event that a key was used for; "" where it is not known."""
        found = self._db.execute("SELECT event_id FROM keys WHERE key = ?", (key.name,)).fetchone()
        return found[0] if found else ""

    def _holds(self, event_id: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM waiting WHERE event_id = ?", (event_id,)).fetchone())

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db, self._lock, self.path)


class _Transaction:
    """Takes SQLite's write lock at once, so that two processes never both believe there is room."""

    def __init__(self, db: sqlite3.Connection, lock: threading.Lock, path: Path) -> None:
        self._db, self._lock, self._path = db, lock, path

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._lock.release()
            raise self._translated(error) from error

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            self._db.execute("ROLLBACK" if error else "COMMIT")
        except sqlite3.Error as failed:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._translated(failed) from failed
        finally:
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise self._translated(error) from error

    def _translated(self, error: BaseException) -> BaseException:
        return UnavailableError(f"{self._path}: {error}") if isinstance(error, sqlite3.Error) else error
