"""A breaker around the database: after several failures in a row it is spared, and so are callers the wait for it."""

import time
from collections.abc import Callable


class Breaker:
    """Open after `failures` in a row; then one trial is let through every `retry_seconds`, until one succeeds.

    `slow_seconds`: an answer that took longer came too late for whoever asked, and counts as a failure.
    """

    def __init__(
        self,
        *,
        failures: int,
        retry_seconds: float,
        slow_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._retry_seconds = retry_seconds
        self._slow_seconds = slow_seconds
        self._monotonic = monotonic
        self._in_a_row = 0
        self._next_trial = 0.0

    @property
    def is_open(self) -> bool:
        return self._in_a_row >= self._failures

    def lets_through(self) -> bool:
        """Whether to ask now. While open, a yes is a trial: the next one comes `retry_seconds` later."""
        if not self.is_open:
            return True
        now = self._monotonic()
        if now < self._next_trial:
            return False
        self._next_trial = now + self._retry_seconds
        return True

    def failed(self) -> None:
        self._in_a_row += 1
        if self._in_a_row == self._failures:
            self._next_trial = self._monotonic() + self._retry_seconds

    def answered(self, *, seconds: float) -> None:
        if seconds > self._slow_seconds:
            self.failed()
        else:
            self._in_a_row = 0
