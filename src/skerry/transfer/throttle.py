"""Bytes no faster than somebody says."""

import asyncio
from collections.abc import Callable

_LOOK = 0.25
"""Seconds after which what may pass is asked again: so soon does a new limit hold."""

_AHEAD = 0.1
"""Seconds of bytes that may pass at once after a pause."""


class Throttle:
    """Holds up who moves more than `rate()` bytes a second; None is any number, 0 none for now.

    Several that move bytes under one limit are let on in the order in which they came."""

    def __init__(self, rate: Callable[[], int | None]) -> None:
        self._rate = rate
        self._turn = asyncio.Lock()
        self._free_at = 0.0

    async def passed(self, count: int) -> None:
        """`count` bytes have passed; returns when more may."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            rate = self._rate()
            if rate:
                self._free_at = max(self._free_at, loop.time() - _AHEAD) + count / rate
            while rate is not None and (wait := _LOOK if rate == 0 else self._free_at - loop.time()) > 0:
                await asyncio.sleep(min(wait, _LOOK))
                rate = self._rate()
