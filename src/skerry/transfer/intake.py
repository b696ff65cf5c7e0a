"""One sender's bytes, from first to last: room, pace, a look at them, and tidying up after a bad end."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from skerry.config import Config
from skerry.core import receiving
from skerry.core.errors import BrokenOff, NoSpace, NotFound, SkerryError, StoreFailed, TooLarge, TooSlow
from skerry.core.image import Image
from skerry.core.receiving import Contents
from skerry.core.write_points import reached
from skerry.stores.base import Partial, Store
from skerry.transfer.ingest import Tally, ingest, reread
from skerry.transfer.inspection import inspection_for
from skerry.transfer.pace import paced
from skerry.transfer.publish import Publisher
from skerry.transfer.unbroken import unbroken

log = logging.getLogger(__name__)

T = TypeVar("T")
Chunks = AsyncIterator[bytes]

_TALLIES = 16
"""So many resumable uploads go on without reading again what has come before."""

_TO_GO_ON = (BrokenOff, TooSlow, StoreFailed, asyncio.CancelledError)
"""Ends of a resumable upload after which it can go on."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a sender sends, `length` bytes if it said so, for byte `start` on; `report` hears of progress."""

    chunks: Chunks
    length: int | None = None
    start: int = 0
    report: Callable[[int], None] | None = None

    def written(self, size: int) -> None:
        """Note that the file has so many bytes."""
        reached("intake.written")
        if self.report is not None:
            self.report(size)


@dataclass(slots=True, eq=False)
class Arrival:
    """One sender at work. Whoever ends it from outside gives a reason, and waits until everything is tidy."""

    resumable: bool
    _work: asyncio.Task[Any] | None = None
    _reason: SkerryError | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Take bytes in. Raises the reason when that is ended from outside."""
        self._work = task = asyncio.ensure_future(work)
        try:
            return await task
        except asyncio.CancelledError:
            if self._reason is not None:
                raise self._reason from None
            raise

    async def end(self, reason: SkerryError) -> None:
        """Have the sender's call raise `reason`, unless its bytes are all here and being published."""
        if self._work is not None and not self._work.done():
            self._reason = reason
            self._work.cancel()
        await self._over.wait()

    def is_over(self) -> None:
        """Let go of whoever waits for the end."""
        self._over.set()


class Intake:
    """Takes bytes in for images whose record says that they come (`core.receiving`)."""

    def __init__(self, store: Store, publisher: Publisher, config: Config) -> None:
        self._store = store
        self._publisher = publisher
        self._limit = config.limits.image_size
        self._api = config.api
        self._match = config.formats.match
        self._arrivals: dict[str, Arrival] = {}
        self._untidy: dict[str, bool] = {}
        self._tallies: dict[tuple[str, str | None, str | None], Tally] = {}
        self.received = 0
        """Bytes that senders have sent here since the start."""

    def check_room(self, length: int | None) -> None:
        """Refuse `length` bytes before one is read: TooLarge over the limit, NoSpace when they cannot fit."""
        if length is None:
            return
        if length > self._limit:
            raise TooLarge(
                f"The incoming image is too large: {length} bytes, at most {self._limit} are taken."
            )
        if length > self._store.free():
            raise NoSpace(f"There is no space left for {length} bytes.", hint="Free space at this site.")

    @property
    def running(self) -> int:
        """How many senders send bytes now."""
        return len(self._arrivals)

    def arrival(self, image_id: str) -> Arrival | None:
        """Who is sending bytes for an image now."""
        return self._arrivals.get(image_id)

    @asynccontextmanager
    async def arriving(self, image_id: str, *, resumable: bool = False) -> AsyncIterator[Arrival]:
        """The time from the record saying that bytes come until they are published.

        What is raised in here leaves the image queued again. A resumable upload keeps what has come if it can
        go on from there; otherwise no bytes are left. Gone takes the place of an error when the record is
        gone.
        """
        self._untidy.pop(image_id, None)
        arrival = self._arrivals[image_id] = Arrival(resumable)
        try:
            yield arrival
        except BaseException as error:
            keep = resumable and isinstance(error, _TO_GO_ON)
            if not await self._tidy(image_id, keep=keep) and isinstance(error, Exception):
                raise receiving.gone(image_id) from error
            raise
        finally:
            del self._arrivals[image_id]
            arrival.is_over()

    async def take_in(self, image: Image, body: Body) -> Tally:
        """Append a body to the partial file of `image`. Returns what is known of all its bytes so far."""
        before = body.start

        def report(size: int) -> None:
            nonlocal before
            self.received += size - before
            before = size
            body.written(size)

        partial = self._store.partial(image.id)
        fd = await unbroken(asyncio.to_thread(partial.open))
        try:
            if partial.size() > body.start:
                await asyncio.to_thread(partial.truncate, body.start)
            tally = await self._tally(image, fd, body.start)
            pace = {"least": self._api.min_rate, "window": self._api.slow_after}
            async with aclosing(paced(body.chunks, **pace)) as chunks:
                await ingest(chunks, fd, tally, limit=self._limit, report=report)
        except (NoSpace, StoreFailed):
            self.forget(image.id)
            raise
        finally:
            os.close(fd)
        if body.length is not None and tally.size - body.start != body.length:
            came = tally.size - body.start
            raise BrokenOff(f"The body ended after {came} of {body.length} bytes.", image=image.id)
        return tally

    def forget(self, image_id: str) -> None:
        """Nothing goes on from the bytes seen so far."""
        for key in [key for key in self._tallies if key[0] == image_id]:
            del self._tallies[key]

    async def _tally(self, image: Image, fd: int, start: int) -> Tally:
        """What is known of the first `start` bytes: kept since they came, or read again after a restart."""
        key = (image.id, image.disk_format, image.container_format)
        tally = self._tallies.pop(key, None)
        if tally is None or tally.size != start:
            look = inspection_for(image.disk_format, image.container_format, match=self._match)
            tally = Tally(inspection=look)
            await reread(fd, tally, start)
        if len(self._tallies) >= _TALLIES:
            del self._tallies[next(iter(self._tallies))]
        self._tallies[key] = tally
        return tally

    async def tidy_up(self) -> None:
        """Leave those images queued for which that has failed, for want of a disk or a database."""
        for image_id in [*self._untidy]:
            await self._tidy(image_id, keep=self._untidy.pop(image_id))

    async def _tidy(self, image_id: str, *, keep: bool) -> bool:
        """Leave the image queued. Returns whether it still has a record."""
        partial = self._store.partial(image_id)
        try:
            if keep and partial.size() and await self._kept(image_id, partial):
                return True
            self.forget(image_id)
            await self._publisher.abandon(image_id, receiving.given_up)
        except NotFound:
            await self._publisher.abandon(image_id)
            return False
        except SkerryError as error:
            self._untidy[image_id] = keep
            log.error("image %s stays as it is for now: %s", image_id, error)
        return True

    async def _kept(self, image_id: str, partial: Partial) -> bool:
        """Make what has come of a resumable upload durable, if that can be."""
        try:
            await self._publisher.checkpoint(image_id, partial, size=None, rule=receiving.given_up)
        except NoSpace:
            return False
        return True


def contents(tally: Tally) -> Contents:
    """What the record says of bytes that are all here. Raises BadImage when they cannot be the image."""
    found = tally.result()
    return Contents(found.size, found.digests["md5"], found.digests["sha512"], found.virtual_size)
