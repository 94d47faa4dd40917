"""Several Spark actions at once: while one plans or waits for its last task, another computes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_MOST = 4


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """The results in order; an action's error is raised when all have ended. Actions must not depend on each other."""
    with ThreadPoolExecutor(max_workers=_MOST) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]
