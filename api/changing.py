"""Changes that a caller makes in ClickHouse, which look-ups must not wait for.

Each opens its own connection in a thread: these are rare.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from data_contracts.settings import Settings
from sql.client import Address, Store, connected

Result = TypeVar("Result")
_SECONDS = 10


async def changed(request: Request, change: Callable[[Store], Result]) -> Result:
    """What `change` returns. Raises UnavailableError without ClickHouse, and whatever `change` raises."""
    return await in_store(request.app.state.settings, change, seconds=_SECONDS)


async def in_store(settings: Settings, work: Callable[[Store], Result], *, seconds: int) -> Result:
    """What `work` returns of a connection of its own, whose statements may take so long."""

    def run() -> Result:
        with connected(Address.of(settings), timeout_seconds=seconds) as store:
            return work(store)

    return await asyncio.to_thread(run)
