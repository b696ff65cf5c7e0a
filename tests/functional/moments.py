"""Write points as moments that a test can wait for."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from skerry.core import write_points


class Moments:
    """Each label is an event: `reach` returns once it has been passed since the last time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._passed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def reach(self, label: str) -> None:
        """Wait for the write point."""
        async with asyncio.timeout(10):
            await self._passed[label].wait()
        self._passed[label].clear()

    def note(self, label: str) -> None:
        """Hear of a write point, on whichever thread."""
        self._loop.call_soon_threadsafe(lambda: self._passed[label].set())


@contextmanager
def watched() -> Iterator[Moments]:
    """Watch the write points of all sites of this process."""
    moments = Moments()
    write_points.set_hook(moments.note)
    try:
        yield moments
    finally:
        write_points.set_hook(None)
