"""Threads for what must not wait: keeping feedback, following the pointers, rotating keys. The default pool, where
questions to a database wait and exports are written, may be full for as long as the database hangs.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

_AT_ONCE = 4
_THREADS = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="vital")


async def at_once(function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """As asyncio.to_thread, in a thread that is there for it."""
    call = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)
