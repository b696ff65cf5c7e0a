"""Work that a cancelled caller must not leave half done."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def unbroken(work: Awaitable[T]) -> T:
    """Run `work` to its end and return its result, or raise its error, whatever happens to the caller.

    A cancellation of the caller meanwhile is put off: it comes at the caller's next await, so the caller
    always learns how the work ended.
    """
    task = asyncio.ensure_future(work)
    caller = asyncio.current_task()
    put_off = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            put_off = True
    if put_off and caller is not None:
        caller.uncancel()
        caller.cancel()
    return task.result()
