"""What is being fetched now: one fetch of an image at most, made durable on its way, and then kept."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from skerry.catalog.copies import Copies
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import NoSpace, NotFound, SkerryError, WrongBytes
from skerry.core.image import Image
from skerry.stores.base import Store
from skerry.transfer.chunks import Chunks
from skerry.transfer.fetch import Fetch
from skerry.transfer.publish import Publisher
from skerry.transfer.queue import Queue
from skerry.transfer.siblings import Siblings
from skerry.transfer.throttle import Throttle
from skerry.upstream.client import UpstreamImages

log = logging.getLogger(__name__)

_CHECKPOINT = 1.0
"""Seconds between the moments at which a running fetch is made durable."""

_PAUSED = 0
"""The rate of what gives way to somebody who waits."""


class Fetches:
    """Those of one site. `stall` as for Fetch; `rate` is how many bytes a second the line to upstream may
    carry for all of them, None for any. `reading` counts who reads of an image or waits for it, by ids.
    """

    def __init__(
        self,
        store: Store,
        copies: Copies,
        publisher: Publisher,
        upstream: UpstreamImages,
        chunks: Chunks,
        siblings: Siblings,
        queue: Queue,
        *,
        stall: float,
        rate: int | None,
        reading: Mapping[str, int],
        ended: Callable[[], None],
    ) -> None:
        """`ended` is called each time that one has come to its end, whichever."""
        self._store = store
        self._copies = copies
        self._publisher = publisher
        self._upstream = upstream
        self._chunks = chunks
        self._siblings = siblings
        self._queue = queue
        self._stall = stall
        self._line = Throttle(lambda: rate)
        self._reading = reading
        self._on_end = ended
        self._fetches: dict[str, Fetch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def all(self) -> list[Fetch]:
        """All that run."""
        return list(self._fetches.values())

    def of(self, image_id: str) -> Fetch | None:
        """That of one image."""
        return self._fetches.get(image_id)

    def start(self, image: Image, *, wanted: bool) -> Fetch:
        """Fetch an image that is not being fetched, for which there is room.

        One that is `wanted`, and not only by a client, is queued again when it does not come.
        """
        fetch = Fetch(
            image,
            self._store,
            self._upstream,
            self._chunks,
            self._siblings,
            stall=self._stall,
            line=self._line,
            rate=lambda: self._rate(image.id),
        )
        self._fetches[image.id] = fetch
        task = asyncio.create_task(self._carry_out(fetch, wanted=wanted), name=f"fetch-{image.id}")
        self._tasks[image.id] = task
        task.add_done_callback(lambda _: self._ended(fetch))
        return fetch

    async def stop(self, image_id: str) -> None:
        """End that of an image, if there is one; it can be gone on with."""
        task = self._tasks.get(image_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """End all, durably: they go on after the next start."""
        for fetch in self.all():
            await self.stop(fetch.image.id)
            with suppress(SkerryError):
                await self._checkpoint(fetch)

    def _rate(self, image_id: str) -> int | None:
        """Bytes a second at which an image may come now: who waits for one goes before all that is queued."""
        if image_id in self._reading:
            return None
        if any(other in self._reading for other in self._fetches):
            return _PAUSED
        return self._queue.rate(image_id)

    async def _carry_out(self, fetch: Fetch, *, wanted: bool) -> None:
        """Fetch, make durable on the way, and keep. Never raises but when cancelled."""
        image_id = fetch.image.id
        saver = asyncio.create_task(self._save(fetch))
        try:
            try:
                await fetch.run()
            finally:
                saver.cancel()
            await self._publisher.keep(image_id, fetch.partial, fetch.size, index=fetch.index)
            self._copies.touch(image_id)
            self._queue.forget(image_id)
        except Exception as error:
            await self._give_up(fetch, error, wanted=wanted or is_wanted(self._copies.get(image_id)))

    def _ended(self, fetch: Fetch) -> None:
        fetch.close()
        del self._fetches[fetch.image.id], self._tasks[fetch.image.id]
        self._on_end()

    async def _give_up(self, fetch: Fetch, error: Exception, *, wanted: bool) -> None:
        """Keep what may be gone on from, drop what is of no use, and queue again what the operator wants."""
        image_id = fetch.image.id
        log_failure(f"image {image_id} could not be fetched", error)
        self._queue.failed(image_id, error)
        useless = isinstance(error, WrongBytes | NoSpace) or not fetch.done
        try:
            if isinstance(error, NotFound) or (useless and not wanted):
                self._queue.forget(image_id)
                await self._publisher.evict(image_id)
            elif useless:
                await self._publisher.requeue(image_id)
        except Exception as another:
            log_failure(f"what there is of image {image_id} could not be removed", another)

    async def _save(self, fetch: Fetch) -> None:
        saved = 0
        while True:
            await asyncio.sleep(_CHECKPOINT)
            if fetch.done > saved:
                saved = fetch.done
                try:
                    await self._checkpoint(fetch)
                except SkerryError as error:
                    log.warning("image %s: its progress is not durable: %s", fetch.image.id, error)

    async def _checkpoint(self, fetch: Fetch) -> None:
        if fetch.durable is not None:
            await self._publisher.checkpoint(fetch.image.id, fetch.durable, size=fetch.size, cached=True)


def is_wanted(copy: Copy | None) -> bool:
    """Whether the operator has asked for an image, and not only a client."""
    return copy is not None and (copy.pinned or copy.state is CopyState.QUEUED)


def log_failure(what: str, error: Exception) -> None:
    """What one can be told about in a line, anything else with its traceback."""
    log.error("%s: %s", what, error, exc_info=None if isinstance(error, SkerryError) else error)
