"""One night at a time on a lake: an advisory lock that lives as long as the night and the jobs it started.

The jobs inherit the lock's file descriptor, so a night whose orchestrator was killed stays locked until its last
orphaned job has ended, and no second night writes beside it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contracts.errors import BusyError


@contextmanager
def lake_lock(lake: str, *, wait_seconds: float = 0) -> Iterator[int | None]:
    """Hold the lake's lock; yields its descriptor, to be passed to child processes.

    A lake in Object Storage has no advisory locks: None. Raises BusyError when another night holds the lake.
    """
    if "://" in lake and not lake.startswith("file:"):
        yield None
        return
    folder = Path(lake.removeprefix("file://").removeprefix("file:"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".night.lock"
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
