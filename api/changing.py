"""Changes that a caller makes in ClickHouse, which look-ups must not wait for.

Each opens its own connection in a thread: these are rare.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from api.problems import documented
from api.refusals import ElsewhereError
from data_contracts.settings import Settings
from sql.client import Address, Store, connected

Result = TypeVar("Result")
_SECONDS = 10
# Of a route that writes what operators decide.
ELSEWHERE: dict[int | str, dict[str, Any]] = {
    421: documented("This service takes no decisions of operators; there is another that does.")
}


async def changed(request: Request, change: Callable[[Store], Result]) -> Result:
    """What `change` returns. Raises UnavailableError without ClickHouse, and whatever `change` raises."""
    return await in_store(request.app.state.settings, change, seconds=_SECONDS)


async def decided(request: Request, decide: Callable[[Store], Result], *, seconds: int = _SECONDS) -> Result:
    """The same for what operators decide, written as their user. Raises ElsewhereError where that is not taken."""
    settings: Settings = request.app.state.settings
    if settings.operators == "off":
        raise ElsewhereError("this service takes no decisions of operators: send it to the one that does")
    return await _of_connection(Address.of_operators(settings), decide, seconds=seconds)


async def in_store(settings: Settings, work: Callable[[Store], Result], *, seconds: int) -> Result:
    """What `work` returns of a connection of its own, whose statements may take so long."""
    return await _of_connection(Address.of(settings), work, seconds=seconds)


async def _of_connection(address: Address, work: Callable[[Store], Result], *, seconds: int) -> Result:
    def run() -> Result:
        with connected(address, timeout_seconds=seconds) as store:
            return work(store)

    return await asyncio.to_thread(run)
