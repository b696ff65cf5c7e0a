"""What a site sends to its siblings: no more than it may, over all of them together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skerry.core.errors import Busy, NotFound
from skerry.transfer.throttle import Throttle

_AT_ONCE = 4
"""Orders of siblings that are under way at the same time."""

_RETRY = 2.0


class Egress:
    """At most `limit` bytes a second to siblings; 0 is never, None is any. `sent` counts since the start."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._throttle = Throttle(lambda: limit)
        self._orders = 0
        self.sent = 0

    @property
    def gives(self) -> bool:
        """Whether siblings get anything here."""
        return self._limit != 0

    def check(self) -> None:
        """Raise NotFound when siblings get nothing here."""
        if not self.gives:
            raise NotFound("This site sends nothing to its siblings.", hint="See [transfer] egress there.")

    @asynccontextmanager
    async def order(self) -> AsyncIterator[None]:
        """While a sibling is sent something. Raises NotFound, and Busy when it has to come again."""
        self.check()
        if self._orders >= _AT_ONCE:
            raise Busy("This site sends to as many siblings as it can.", retry_after=_RETRY)
        self._orders += 1
        try:
            yield
        finally:
            self._orders -= 1

    async def passed(self, count: int) -> None:
        """So many bytes went to a sibling; returns when more may, to any of them."""
        self.sent += count
        await self._throttle.passed(count)
