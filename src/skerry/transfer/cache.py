"""The copies of upstream's images here: fetched on first use, kept within a limit, steered by the operator.

Clients that ask for the same image share one fetch, and a client that goes away does not end it. What a crash
interrupted goes on by itself.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace

from skerry.catalog.base import EdgeCatalogue
from skerry.catalog.copies import Copies, Rule
from skerry.core.clock import Clock
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import Busy, NoData, NoSpace, NotFound, SkerryError, WrongBytes
from skerry.core.eviction import make_room, occupied
from skerry.core.image import Image
from skerry.stores.base import Store
from skerry.transfer.chunks import Chunks
from skerry.transfer.delivery import Delivery
from skerry.transfer.fetch import Fetch
from skerry.transfer.publish import Publisher
from skerry.transfer.queue import Order, Queue
from skerry.transfer.siblings import Siblings
from skerry.transfer.throttle import Throttle
from skerry.upstream.client import UpstreamImages

log = logging.getLogger(__name__)

_CHECKPOINT = 1.0
"""Seconds between the moments at which a running fetch is made durable."""

_REMEMBERED = 10_000
"""Evicted images of which it is known when that was."""

_PAUSED = 0
"""The rate of what gives way to somebody who waits."""


class Cache:
    """Copies with a hard `limit` in bytes. At most `prestages` queued images are fetched at the same time; a
    client that waits is served at once. `stall` as for Fetch. `rate` is how many bytes a second the line to
    upstream may carry for all of them; None for any.
    """

    def __init__(
        self,
        store: Store,
        copies: Copies,
        publisher: Publisher,
        upstream: UpstreamImages,
        catalogue: EdgeCatalogue,
        clock: Clock,
        *,
        limit: int,
        prestages: int,
        stall: float,
        rate: int | None,
        chunks: Chunks,
        siblings: Siblings,
    ) -> None:
        self.limit = int(limit)
        self._store = store
        self._chunks = chunks
        self.siblings = siblings
        self._copies = copies
        self._publisher = publisher
        self._upstream = upstream
        self._catalogue = catalogue
        self._clock = clock
        self._prestages = prestages
        self._stall = stall
        self._line = Throttle(lambda: rate)
        self._fetches: dict[str, Fetch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reading: Counter[str] = Counter()
        self._admission = asyncio.Lock()
        self._queue = Queue(clock)
        self._work = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self.check: Callable[[Image], None] = lambda image: None
        """Raises what stands against having an image here that is not."""
        self.evicted: dict[str, float] = {}
        """When the last copies gave way to others since the start, by image; the oldest first."""
        self.hits = 0
        self.misses = 0
        """Readers since the start that found the copy whole, and that did not."""

    @property
    def used(self) -> int:
        """Bytes that copies take or have been promised."""
        return occupied(self._copies.all())

    def cached(self) -> list[Copy]:
        """Whole copies."""
        return [copy for copy in self._copies.all() if copy.cached and copy.state is CopyState.COMPLETE]

    def queued(self) -> list[str]:
        """Ids of images that are to come or on their way."""
        return [copy.image_id for copy in self.coming()]

    def coming(self) -> list[Copy]:
        """Copies that are queued or on their way."""
        return [copy for copy in self._copies.all() if copy.cached and copy.state is not CopyState.COMPLETE]

    def next_try(self, image_id: str) -> tuple[float | None, str]:
        """When an image that could not be fetched is tried again, since the epoch, and why it failed."""
        return self._queue.retry_at(image_id), self._queue.errors.get(image_id, "")

    def is_busy(self, image_id: str) -> bool:
        """Whether somebody reads a copy, or waits for it."""
        return image_id in self._reading

    def fetches(self) -> list[Fetch]:
        """What is being fetched now."""
        return list(self._fetches.values())

    @property
    def readers(self) -> int:
        """How many are reading or waiting for bytes now."""
        return self._reading.total()

    @contextmanager
    def lending(self, image_id: str) -> Iterator[None]:
        """While open, somebody reads of an image: it is not evicted, and goes before what is queued."""
        self._reading[image_id] += 1
        try:
            yield
        finally:
            self._reading[image_id] -= 1
            if not self._reading[image_id]:
                del self._reading[image_id]

    @asynccontextmanager
    async def reading(self, image: Image, offset: int = 0) -> AsyncIterator[Delivery]:
        """The bytes of an image, from its copy here or as they arrive; while open, the copy is not evicted.

        It begins when the byte at `offset` is here. Raises NoData, NoSpace, what ended the fetch before that,
        and UpstreamAway at once when the image is not whole here and the line is cut.
        """
        _check_data(image)
        with self.lending(image.id):
            delivery = self._whole(image)
            if delivery is not None:
                self.hits += 1
            else:
                self.misses += 1
                delivery = await self._arriving(image, offset)
            try:
                yield delivery
            finally:
                delivery.close()

    async def queue(self, image_id: str) -> None:
        """Have an image fetched when there is time. Raises NotFound."""
        await self._want(image_id, pinned=False)

    def order(self, orders: Mapping[str, Order]) -> None:
        """How queued images are to be brought from now on; what is not named comes as it can."""
        self._queue.order(orders)
        self._work.set()

    async def note(self, image_id: str, rule: Rule) -> None:
        """Change what is known of a copy; one that is queued by that is fetched when there is time."""
        known = self._copies.get(image_id)
        if rule(known) != known:
            await self._copies.change(image_id, rule)
            self._work.set()

    async def pause(self, image_id: str, *, paused: bool) -> None:
        """Fetch an image no more but for a client, until told otherwise. Raises NotFound."""
        if self._copies.get(image_id) is None:
            raise NotFound(f"Image {image_id} is not here, nor on its way.", image=image_id)
        await self._copies.change(image_id, lambda copy: copy and replace(copy, paused=paused))
        async with self._admission:  # a fetch that is about to begin is stopped as well
            if paused and not self.is_busy(image_id):
                await self._stop_fetch(image_id)
        self._work.set()

    async def move(self, image_id: str, store: str) -> None:
        """Have a whole copy in another of the stores here. Raises as `Publisher.move`."""
        await self._publisher.move(image_id, store)

    async def renew(self, image_id: str) -> None:
        """Have a copy whose bytes are bad fetched anew; who reads it goes on to the end of what there is."""
        async with self._admission:
            await self._stop_fetch(image_id)
            await self._publisher.requeue(image_id)
        self._work.set()

    async def evict(self, image_id: str) -> None:
        """Give up a copy whose room is needed, unless somebody reads it."""
        async with self._admission:
            if not self.is_busy(image_id):
                await self._stop_fetch(image_id)
                await self._publisher.evict(image_id)
                self._note_evicted(image_id)

    async def delete(self, image_id: str) -> None:
        """Remove one copy, pinned or not, or take an image from the queue. Raises NotFound.

        Who reads the copy can go on; who waits for a fetch of it is told that it has ended.
        """
        copy = self._copies.get(image_id)
        if copy is None or not copy.cached:
            raise NotFound(f"Image {image_id} is not cached.", image=image_id)
        await self.remove(image_id)

    async def forget(self, image_id: str) -> None:
        """Remove what there is of an image that is no more, whatever kind of copy it is."""
        if self._copies.get(image_id) is not None:
            await self.remove(image_id)

    async def give_way(self, image: Image) -> None:
        """Make room for an image that another way brings here, and stop fetching it. Raises NoSpace."""
        copy = self._copies.get(image.id)
        if copy is not None and copy.cached:
            await self.remove(image.id)
        async with self._admission:
            await self._make_room(image.size or 0)

    async def clear(self, *, cached: bool = True, queued: bool = True) -> None:
        """Remove all copies, the queue, or both, each as `delete` does. What is pinned stays."""
        for copy in self._copies.all():
            whole = copy.state is CopyState.COMPLETE
            if copy.cached and not copy.pinned and (cached if whole else queued):
                await self.remove(copy.image_id)

    async def pin(self, image_id: str, *, pinned: bool) -> None:
        """Keep a copy from eviction, or let it go again; pinning an image that is not here queues it."""
        if pinned:
            await self._want(image_id, pinned=True)
        elif self._copies.get(image_id) is None:
            raise NotFound(f"Image {image_id} is not cached.", image=image_id)
        else:
            await self._copies.change(image_id, lambda copy: copy and replace(copy, pinned=False))

    async def prune(self, to: int) -> list[str]:
        """Evict the least recently used until at most `to` bytes are taken; the ids. Raises NoSpace."""
        async with self._admission:
            return await self._evict_for(0, limit=to)

    async def start(self) -> None:
        """Go on with what was queued or interrupted, and drop what upstream has deleted."""
        self._work.set()
        self._worker = asyncio.create_task(self._work_off(), name="cache-queue")

    async def close(self) -> None:
        """Stop fetching; what is on its way goes on after the next start."""
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        for fetch in self.fetches():
            await self._stop_fetch(fetch.image.id)
            with suppress(SkerryError):
                await self._checkpoint(fetch)
        with suppress(SkerryError):
            await self._copies.flush()

    async def sweep(self) -> None:
        """Remove copies of images that are no more."""
        for copy in self._copies.all():
            if copy.cached and not await self._catalogue.knows(copy.image_id):
                await self.remove(copy.image_id)

    def _whole(self, image: Image) -> Delivery | None:
        copy = self._copies.get(image.id)
        if copy is None or copy.state is not CopyState.COMPLETE or copy.size != image.size:
            return None
        try:
            delivery = Delivery.whole(self._store.path(image.id))
        except (NotFound, FileNotFoundError):
            log.error("image %s: its file is gone; it is fetched again", image.id)
            return None
        if delivery.size != image.size:
            log.error("image %s: its file has %d bytes; it is fetched again", image.id, delivery.size)
            delivery.close()
            return None
        self._copies.touch(image.id)
        return delivery

    async def _arriving(self, image: Image, offset: int) -> Delivery:
        async with self._admission:
            if (whole := self._whole(image)) is not None:  # it has become so meanwhile
                return whole
            fetch = await self._start(image)
        return await fetch.delivery(offset)

    async def begin(self, image: Image) -> None:
        """Have an image come that is not whole here; returns when it is known how it comes.

        Raises NoData, NoSpace, UpstreamAway, Busy, and what ended the fetch before that.
        """
        _check_data(image)
        async with self._admission:
            if (whole := self._whole(image)) is not None:
                whole.close()
                return
            fetch = await self._start(image)
        await fetch.begun()

    async def _start(self, image: Image) -> Fetch:
        """The running fetch of an image, or a new one. To be called by who has the admission."""
        self.check(image)
        if not self._upstream.link.connected:
            raise self._upstream.link.away()
        copy = self._copies.get(image.id)
        if copy is not None and copy.state is CopyState.PARTIAL and not copy.cached:
            raise Busy(f"Image {image.id} is on its way here from {image.home}.", retry_after=5)
        running = self._fetches.get(image.id)
        if running is not None and running.size == image.size:
            return running
        await self._stop_fetch(image.id)
        wanted = self._wanted(image.id)
        await self._admit(image)
        fetch = Fetch(
            image,
            self._store,
            self._upstream,
            self._chunks,
            self.siblings,
            stall=self._stall,
            line=self._line,
            rate=lambda: self._rate(image.id),
        )
        self._fetches[image.id] = fetch
        task = asyncio.create_task(self._carry_out(fetch, wanted=wanted), name=f"fetch-{image.id}")
        self._tasks[image.id] = task
        task.add_done_callback(lambda _: self._ended(fetch))
        return fetch

    def _rate(self, image_id: str) -> int | None:
        """Bytes a second at which an image may come now: who waits for one goes before all that is queued."""
        if self.is_busy(image_id):
            return None
        if any(other in self._reading for other in self._fetches):
            return _PAUSED
        return self._queue.rate(image_id)

    async def _admit(self, image: Image) -> None:
        """Promise room to an image that is about to come, unless it has been before. Raises NoSpace."""
        copy = self._copies.get(image.id)
        if copy is not None and copy.state is CopyState.PARTIAL and copy.size == image.size:
            return
        if copy is not None and copy.state is not CopyState.QUEUED:
            await self._publisher.requeue(image.id)  # its bytes are damaged, or of another size
        await self._make_room(image.size or 0)
        await self._copies.change(
            image.id,
            lambda copy: replace(
                copy or self._new(image), state=CopyState.PARTIAL, size=image.size, durable=0
            ),
        )

    async def _make_room(self, need: int) -> None:
        free = await asyncio.to_thread(self._store.free)
        limit = min(self.limit, sum(map(self._written, self._copies.all())) + free)
        await self._evict_for(need, limit=limit)

    def _written(self, copy: Copy) -> int:
        """Bytes of the disk that a copy takes already."""
        if copy.state is CopyState.COMPLETE:
            return copy.size or 0
        fetch = self._fetches.get(copy.image_id)
        return fetch.done if fetch is not None else copy.durable

    def _wanted(self, image_id: str) -> bool:
        """Whether the operator has asked for the image, and not only a client."""
        copy = self._copies.get(image_id)
        return copy is not None and (copy.pinned or copy.state is CopyState.QUEUED)

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
            await self._give_up(fetch, error, wanted=wanted or self._wanted(image_id))

    def _ended(self, fetch: Fetch) -> None:
        fetch.close()
        del self._fetches[fetch.image.id], self._tasks[fetch.image.id]
        self._work.set()

    async def _give_up(self, fetch: Fetch, error: Exception, *, wanted: bool) -> None:
        """Keep what may be gone on from, drop what is of no use, and queue again what the operator wants."""
        image_id = fetch.image.id
        _log_failure(f"image {image_id} could not be fetched", error)
        self._queue.failed(image_id, error)
        useless = isinstance(error, WrongBytes | NoSpace) or not fetch.done
        try:
            if isinstance(error, NotFound) or (useless and not wanted):
                self._queue.forget(image_id)
                await self._publisher.evict(image_id)
            elif useless:
                await self._publisher.requeue(image_id)
        except Exception as another:
            _log_failure(f"what there is of image {image_id} could not be removed", another)

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

    async def _evict_for(self, need: int, *, limit: int) -> list[str]:
        chosen = make_room(self._copies.all(), need, limit=limit, busy=self._reading)
        for image_id in chosen:
            log.info("image %s evicted from the cache", image_id)
            await self._publisher.evict(image_id)
            self._note_evicted(image_id)
        return chosen

    def _note_evicted(self, image_id: str) -> None:
        self.evicted.pop(image_id, None)
        self.evicted[image_id] = self._clock.now().timestamp()
        if len(self.evicted) > _REMEMBERED:
            del self.evicted[next(iter(self.evicted))]

    async def _want(self, image_id: str, *, pinned: bool) -> None:
        """See to it that an image is here or queued, and pinned if asked for. Raises NotFound, NoData."""
        image = (await self._catalogue.get(image_id)).image
        _check_data(image)
        self.check(image)

        def rule(copy: Copy | None) -> Copy:
            known = copy or self._new(image)
            return replace(known, pinned=known.pinned or pinned)

        await self._copies.change(image_id, rule)
        self._queue.forget(image_id)
        self._work.set()

    async def remove(self, image_id: str) -> None:
        """End the fetch and remove the copy, if there is one; no new fetch begins meanwhile."""
        async with self._admission:
            await self._stop_fetch(image_id)
            self._queue.forget(image_id)
            await self._publisher.evict(image_id)

    async def _stop_fetch(self, image_id: str) -> None:
        task = self._tasks.get(image_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _work_off(self) -> None:
        """Fetch queued and interrupted images, a few at a time, when the line is there."""
        while True:
            await self._upstream.link.wait_connected()
            self._work.clear()
            for image_id in self._queue.due(self.coming()):
                if len(self._fetches) >= self._prestages:
                    break
                if image_id not in self._fetches:
                    await self._prestage(image_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._queue.wait()):
                    await self._work.wait()

    async def _prestage(self, image_id: str) -> None:
        """Start the fetch of a queued image; when that cannot be it is tried again later."""
        try:
            image = (await self._catalogue.get(image_id)).image
            _check_data(image)
            async with self._admission:
                if image_id in self._queue.due(self.coming()):  # still
                    await self._start(image)
        except Exception as error:
            if isinstance(error, NotFound):
                await self.remove(image_id)
            else:
                _log_failure(f"image {image_id} stays queued", error)
                self._queue.failed(image_id, error)

    def _new(self, image: Image) -> Copy:
        now = self._clock.now().timestamp()
        return Copy(image.id, CopyState.QUEUED, size=image.size, cached=True, last_used=now, since=now)


def _log_failure(what: str, error: Exception) -> None:
    """What one can be told about in a line, anything else with its traceback."""
    log.error("%s: %s", what, error, exc_info=None if isinstance(error, SkerryError) else error)


def _check_data(image: Image) -> None:
    if not image.has_data or image.size is None:
        raise NoData(f"Image {image.id} has no data.", image=image.id)
