"""The room that copies have: a hard limit, and which of them gives way to another."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from skerry.catalog.copies import Copies
from skerry.core.clock import Clock
from skerry.core.copy import Copy
from skerry.core.eviction import make_room, occupied
from skerry.stores.base import Store
from skerry.transfer.publish import Publisher

log = logging.getLogger(__name__)

_REMEMBERED = 10_000
"""Evicted images of which it is known when that was."""


class Room:
    """`limit` is in bytes. What is pinned, or `busy`, gives way to nothing; `written` are the bytes of the
    disk that a copy takes already.
    """

    def __init__(
        self,
        store: Store,
        copies: Copies,
        publisher: Publisher,
        clock: Clock,
        limit: int,
        *,
        busy: Mapping[str, int],
        written: Callable[[Copy], int],
    ) -> None:
        self.limit = limit
        self._store = store
        self._copies = copies
        self._publisher = publisher
        self._clock = clock
        self._busy = busy
        self._written = written
        self.evicted: dict[str, float] = {}
        """When the last copies gave way to others since the start, by image; the oldest first."""

    @property
    def used(self) -> int:
        """Bytes that copies take or have been promised."""
        return occupied(self._copies.all())

    async def make(self, need: int) -> None:
        """See that so many bytes can come. Raises NoSpace."""
        free = await asyncio.to_thread(self._store.free)
        await self.shrink(min(self.limit, sum(map(self._written, self._copies.all())) + free), need)

    async def shrink(self, limit: int, need: int = 0) -> list[str]:
        """Evict the least recently used until at most `limit` bytes are taken with what comes; the ids.

        Raises NoSpace.
        """
        chosen = make_room(self._copies.all(), need, limit=limit, busy=self._busy)
        for image_id in chosen:
            log.info("image %s evicted from the cache", image_id)
            await self.evict(image_id)
        return chosen

    async def evict(self, image_id: str) -> None:
        """Give up a copy, and remember when that was."""
        await self._publisher.evict(image_id)
        self.evicted.pop(image_id, None)
        self.evicted[image_id] = self._clock.now().timestamp()
        if len(self.evicted) > _REMEMBERED:
            del self.evicted[next(iter(self.evicted))]
