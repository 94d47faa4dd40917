"""One night at a time on a lake: an advisory lock that lives as long as the night and the jobs it started.

The jobs inherit the lock's file descriptor, so a night whose orchestrator was killed stays locked until its last
orphaned job has ended, and no second night writes beside it. A lake in Object Storage has such a lock among the nights
of this machine, and beside it a lease among machines (see lake_lease).
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contracts.errors import BusyError


@contextmanager
def lake_lock(lake: str, *, wait_seconds: float = 0) -> Iterator[int]:
    """Hold the lake's lock; yields its descriptor, to be passed to child processes.

    Raises BusyError when another night holds the lake, UnavailableError when its Object Storage is away.
    """
    if "://" in lake and not lake.startswith("file:"):
        from dagster_project.lake_lease import lake_lease  # noqa: PLC0415 (its SDK takes half a second to load)

        name = hashlib.sha256(lake.rstrip("/").encode()).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"recs-lake-{name}.lock"
        with _locked(path, wait_seconds=wait_seconds) as descriptor, lake_lease(lake, wait_seconds=wait_seconds):
            yield descriptor
        return
    folder = Path(lake.removeprefix("file://").removeprefix("file:"))
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".night.lock", wait_seconds=wait_seconds) as descriptor:
        yield descriptor


@contextmanager
def _locked(path: Path, *, wait_seconds: float) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, deadline=time.monotonic() + wait_seconds)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, *, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"another night is running on this lake ({path} is locked): wait for it, or choose another lake"
                ) from error
            time.sleep(0.2)
