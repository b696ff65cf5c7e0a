"""A thin line on this machine: the lab's proxy in a thread of its own. What it carries is counted."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from peers.process import HOST
from skerry.core.units import Rate
from skerry.lab.link import Link
from skerry.lab.shape import Shape

OPEN = Shape()
"""As fast as loopback is."""


def shape(megabits: float, milliseconds: float) -> Shape:
    """So many Mbit/s in each direction, so late each way."""
    return Shape(Rate(int(megabits * 1e6)), milliseconds / 1000)


class Line:
    """Leads to a port of loopback, whoever listens there. Where it begins is its own `port`, once entered.

    Counted are the bytes of TCP's streams, both directions, as they enter the line: what is lost when a
    program dies at its end has been paid for. The headers of TCP and IP, about 3 %, are in no figure.
    """

    def __init__(self, target: int, shaped: Shape = OPEN) -> None:
        self.target, self.port = target, 0
        self._link = Link((HOST, target))
        self._link.reshape(shaped)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._carry()))

    @property
    def carried(self) -> int:
        """Bytes so far."""
        return sum(self._link.carried)

    @property
    def sent(self) -> int:
        """Bytes so far that came back from the target."""
        return self._link.carried[1]

    def reshape(self, shaped: Shape) -> None:
        """Be as slow as that from now on."""
        self._loop.call_soon_threadsafe(self._link.reshape, shaped)

    def cut(self) -> None:
        """Swallow everything from now on."""
        self._loop.call_soon_threadsafe(self._link.cut)

    def restore(self) -> None:
        """End the cut."""
        self._loop.call_soon_threadsafe(self._link.restore)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if not self.port:
            raise OSError("the line has no port to begin at")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _carry(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self._link.listening(HOST) as self.port:
                self._ready.set()
                await self._over.wait()
        finally:
            self._ready.set()
