"""Patience with whoever sends bytes, and the end of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from skerry.core.errors import TooSlow

LEAST = 1024.0
"""Bytes a second; who sends an image more slowly is as good as silent."""


class Pace:
    """Judges whoever sends bytes: `least` a second have to come while `window` seconds are waited for them.

    Waiting begins when this is made. The time that the receiver takes for what has come does not count.
    """

    def __init__(self, least: float, window: float) -> None:
        self._enough, self._window = least * window, window
        self.patience = window
        """Seconds that may still be waited until enough has come."""
        self._came = 0
        self._since = asyncio.get_running_loop().time()

    def wait(self) -> None:
        """More is waited for from now on."""
        self._since = asyncio.get_running_loop().time()

    def came(self, count: int) -> None:
        """The wait has brought so many bytes. Raises TooSlow."""
        self.patience -= asyncio.get_running_loop().time() - self._since
        self._came += count
        if self._came >= self._enough:
            self.patience, self._came = self._window, 0
        elif self.patience <= 0:
            raise self.too_slow()

    def too_slow(self) -> TooSlow:
        """What is to be raised when it is."""
        least = self._enough / self._window
        return TooSlow(f"Fewer than {least:.0f} bytes a second came for {self._window:.0f} seconds.")


async def paced(chunks: AsyncIterator[bytes], *, least: float, window: float) -> AsyncGenerator[bytes]:
    """Pass `chunks` on. Raises TooSlow when fewer than `least` bytes a second came during `window` seconds.

    It is not waited for longer than that either, see `Pace`. Closing this closes `chunks`.
    """
    pace = Pace(least, window)
    try:
        while True:
            async with asyncio.timeout(pace.patience):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            pace.came(len(chunk))
            yield chunk
            pace.wait()
    except TimeoutError:
        raise pace.too_slow() from None
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
