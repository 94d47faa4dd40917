"""A thread that empties an outbox into its sink, for as long as the service runs and however long the sink is away.

Of the processes that share an outbox one sends at a time: whoever holds the lock file. An event leaves the outbox after
the sink has it, so that one which dies in between is delivered again.
"""

import fcntl
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from api.outbox import Outbox, Waiting
from api.sinks import Sink
from data_contracts.errors import InputError

_LOG = logging.getLogger("recs.api")

_MOST = 500
# Without a word from this process another one may have put something in.
LOOK_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 2.0


class Sender:
    """`outage` says why nothing can be delivered now; "" when all is well.

    `every_seconds`: what came meanwhile is delivered in one go, unless somebody wakes this.
    """

    def __init__(self, outbox: Outbox, sink: Sink, *, name: str, every_seconds: float = LOOK_SECONDS) -> None:
        self._outbox = outbox
        self._sink = sink
        self._name = name
        self._every = every_seconds
        self._is_over = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"send {name}", daemon=True)
        self.outage = ""
        self.delivered = 0

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was put in: no need to wait for the next look."""
        self._wake.set()

    def stop(self, *, seconds: float) -> None:
        """Returns when the delivery under way has ended, or `seconds` have passed: what is left stays on disk."""
        self._is_over.set()
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                with _alone(f"{self._outbox.path}.lock") as is_alone:
                    while is_alone and not self._is_over.is_set():
                        self._wait(self._step())
            except OSError as error:  # no room for the lock, no more descriptors: it is tried again
                self._tell(error)
            if not self._is_over.is_set():  # another process delivers
                self._wait(_LONGEST_WAIT_SECONDS)
        self._sink.close()

    def _wait(self, seconds: float) -> None:
        if self.outage:  # what comes in meanwhile is no reason to ask sooner
            self._is_over.wait(seconds)
        elif seconds and self._wake.wait(seconds):
            self._wake.clear()

    def _step(self) -> float:
        """Deliver what is there; returns how long to wait until the next time."""
        try:
            waiting = self._outbox.first(_MOST)
            if waiting:
                self._deliver(waiting)
        except Exception as error:
            self._tell(error)
            return _LONGEST_WAIT_SECONDS
        if self.outage:
            _LOG.info("%s is delivered again", self._name)
        self.outage = ""
        return 0 if len(waiting) == _MOST else self._every

    def _tell(self, error: Exception) -> None:
        if not self.outage:
            _LOG.warning("%s cannot be delivered, it waits in the outbox: %s", self._name, error)
        self.outage = str(error) or type(error).__name__

    def _deliver(self, waiting: Sequence[Waiting]) -> None:
        try:
            self._sink.deliver([one.entry for one in waiting])
        except InputError as error:
            if len(waiting) > 1:
                for one in waiting:
                    self._deliver([one])
                return
            _LOG.error("an event of %s is refused, it is kept in %s: %s", self._name, self._outbox.path, error)
            self._outbox.set_aside(waiting[0], str(error))
        else:
            self._outbox.remove(waiting)
            self.delivered += len(waiting)


@contextmanager
def _alone(path: str) -> Iterator[bool]:
    """Whether this process is the one that sends; the kernel frees the lock of one that died."""
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - only its descriptor is used
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
