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
from skerry.core.errors import Busy, NoData, NotFound, SkerryError, StoreFailed
from skerry.core.image import Image
from skerry.stores.base import Store
from skerry.transfer.chunks import Chunks
from skerry.transfer.delivery import Delivery
from skerry.transfer.fetch import Fetch
from skerry.transfer.fetching import Fetches, is_wanted, log_failure
from skerry.transfer.publish import Damage, Publisher
from skerry.transfer.queue import Order, Queue
from skerry.transfer.room import Room
from skerry.transfer.siblings import Siblings
from skerry.upstream.client import UpstreamImages

log = logging.getLogger(__name__)


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
        self._store = store
        self.siblings = siblings
        self._copies = copies
        self._publisher = publisher
        self._upstream = upstream
        self._catalogue = catalogue
        self._clock = clock
        self._prestages = prestages
        self._reading: Counter[str] = Counter()
        self._admission = asyncio.Lock()
        self._queue = Queue(clock)
        self._work = asyncio.Event()
        self._fetches = Fetches(
            store, copies, publisher, upstream, chunks, siblings, self._queue,
            stall=stall, rate=rate, reading=self._reading, ended=self._work.set,
        )  # fmt: skip
        self.room = Room(
            store, copies, publisher, clock, int(limit), busy=self._reading, written=self._written
        )
        self._worker: asyncio.Task[None] | None = None
        self.check: Callable[[Image], None] = lambda image: None
        """Raises what stands against having an image here that is not."""
        self.hits = 0
        self.misses = 0
        """Readers since the start that found the copy whole, and that did not."""

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
        return self._fetches.all()

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
                await self._fetches.stop(image_id)
        self._work.set()

    async def move(self, image_id: str, store: str) -> None:
        """Have a whole copy in another of the stores here. Raises as `Publisher.move`."""
        await self._publisher.move(image_id, store)

    async def renew(self, image_id: str) -> None:
        """Have a copy whose bytes are bad fetched anew; who reads it goes on to the end of what there is."""
        async with self._admission:
            await self._fetches.stop(image_id)
            await self._publisher.requeue(image_id)
        self._work.set()

    async def reopen(self, image_id: str, seed: Callable[[], Damage | None]) -> Damage | None:
        """Have what is wrong of a copy fetched anew, and nothing else, see `Publisher.reopen`."""
        damage = await self._publisher.reopen(image_id, seed)
        self._work.set()
        return damage

    async def evict(self, image_id: str) -> None:
        """Give up a copy whose room is needed, unless somebody reads it."""
        async with self._admission:
            if not self.is_busy(image_id):
                await self._fetches.stop(image_id)
                await self.room.evict(image_id)

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
            await self.room.make(image.size or 0)

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
            return await self.room.shrink(to)

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
        await self._fetches.close()
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
        if not copy.cached:
            check_right(copy)
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
        running = self._fetches.of(image.id)
        if running is not None and running.size == image.size:
            return running
        await self._fetches.stop(image.id)
        wanted = is_wanted(self._copies.get(image.id))
        await self._admit(image)
        return self._fetches.start(image, wanted=wanted)

    async def _admit(self, image: Image) -> None:
        """Promise room to an image that is about to come, unless it has been before. Raises NoSpace."""
        copy = self._copies.get(image.id)
        if copy is not None and copy.state is CopyState.PARTIAL and copy.size == image.size:
            return
        if copy is not None and copy.state is not CopyState.QUEUED:
            await self._publisher.requeue(image.id)  # its bytes are damaged, or of another size
        await self.room.make(image.size or 0)
        await self._copies.change(
            image.id,
            lambda copy: replace(
                copy or self._new(image), state=CopyState.PARTIAL, size=image.size, durable=0
            ),
        )

    def _written(self, copy: Copy) -> int:
        """Bytes of the disk that a copy takes already."""
        if copy.state is CopyState.COMPLETE:
            return copy.size or 0
        fetch = self._fetches.of(copy.image_id)
        return fetch.done if fetch is not None else copy.durable

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
            await self._fetches.stop(image_id)
            self._queue.forget(image_id)
            await self._publisher.evict(image_id)

    async def _work_off(self) -> None:
        """Fetch queued and interrupted images, a few at a time, when the line is there."""
        while True:
            await self._upstream.link.wait_connected()
            self._work.clear()
            for image_id in self._queue.due(self.coming()):
                if len(self._fetches.all()) >= self._prestages:
                    break
                if self._fetches.of(image_id) is None:
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
                log_failure(f"image {image_id} stays queued", error)
                self._queue.failed(image_id, error)

    def _new(self, image: Image) -> Copy:
        now = self._clock.now().timestamp()
        return Copy(image.id, CopyState.QUEUED, size=image.size, cached=True, last_used=now, since=now)


def check_right(copy: Copy | None) -> None:
    """Raise StoreFailed when the bytes that are here are known to be wrong."""
    if copy is not None and copy.trouble:
        raise StoreFailed(
            f"The bytes of image {copy.image_id} are damaged at its home: {copy.trouble}.",
            hint=f"Bring the file back from a backup or another site, then: skerry verify {copy.image_id}",
            image=copy.image_id,
        )


def _check_data(image: Image) -> None:
    if not image.has_data or image.size is None:
        raise NoData(f"Image {image.id} has no data.", image=image.id)
