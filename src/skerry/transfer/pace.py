"""Patience with whoever sends bytes, and the end of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from skerry.core.errors import TooSlow


async def paced(chunks: AsyncIterator[bytes], *, least: float, window: float) -> AsyncGenerator[bytes]:
    """Pass `chunks` on. Raises TooSlow when fewer than `least` bytes a second came during `window` seconds.

    Only waiting for the sender counts; the time that the receiver takes for a chunk does not. Closing this
    closes `chunks`.
    """
    loop = asyncio.get_running_loop()
    patience, came = window, 0
    try:
        while True:
            began = loop.time()
            async with asyncio.timeout(patience):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            patience -= loop.time() - began
            came += len(chunk)
            if came >= least * window:
                patience, came = window, 0
            yield chunk
    except TimeoutError:
        raise TooSlow(f"Fewer than {least:.0f} bytes a second came for {window:.0f} seconds.") from None
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
