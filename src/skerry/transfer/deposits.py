"""Bytes of images that sites below are home to, as these sites send them up: resumable, verified, kept.

A deposit survives a cut line and a crash on either side up to its last checkpoint. What turns out not to be
what the record says is dropped, and asked for again.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing

from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.core.copy import CopyState
from skerry.core.errors import BrokenOff, Busy, NotFound, SkerryError, TooLarge, WrongBytes, WrongOffset
from skerry.core.image import Image
from skerry.core.write_points import reached
from skerry.stores.base import Partial, Store
from skerry.transfer.ingest import Tally, ingest, reread
from skerry.transfer.intake import Chunks
from skerry.transfer.pace import paced
from skerry.transfer.publish import Publisher
from skerry.transfer.unbroken import unbroken
from skerry.transfer.uploads import CHECKPOINT, Progress
from skerry.transfer.whole import promised_digest

log = logging.getLogger(__name__)

_WANTED = 1000
"""Images that are asked for at once."""


class Deposits:
    """Takes the bytes in. One sender at a time for each image: a newer one ends the older.

    `claim` makes room for an image and keeps others from fetching it; `cached`: the copies can be asked for
    again, so they may be evicted. `done` hears of images that are whole here.
    """

    def __init__(
        self,
        store: Store,
        copies: Copies,
        records: Records,
        publisher: Publisher,
        *,
        claim: Callable[[Image], Awaitable[None]],
        done: Callable[[], None],
        cached: bool,
        least: float,
        window: float,
    ) -> None:
        """A sender of fewer than `least` bytes a second for `window` seconds is dropped."""
        self._store = store
        self._copies = copies
        self._records = records
        self._publisher = publisher
        self._claim = claim
        self._done = done
        self._cached = cached
        self._pace = {"least": least, "window": window}
        self._senders: dict[str, asyncio.Task[Progress]] = {}
        self._tallies: dict[str, Tally] = {}
        self.received = 0
        """Images that have come whole since the start."""
        self.refused = 0
        """Images that turned out not to be what their records say."""

    async def wanted(self, homes: Collection[str]) -> list[str]:
        """Images of these homes whose bytes are fixed and not here."""
        return await self._copies.lacking(homes, _WANTED)

    async def progress(self, image_id: str) -> Progress:
        """How far a deposit is. Raises NotFound. Who sends still, over an older line, is ended."""
        await self._end_sender(image_id)
        image = (await self._records.get(image_id)).image
        copy = self._copies.get(image_id)
        if copy is not None and copy.state is CopyState.COMPLETE:
            return Progress(image.size or 0, complete=True)
        if copy is None or copy.state is not CopyState.PARTIAL or copy.cached:
            return Progress(0, complete=False)
        return Progress(copy.durable, complete=False)

    async def append(self, image_id: str, offset: int, chunks: Chunks) -> Progress:
        """Go on with a deposit at byte `offset`, up to the end of the image or of the body.

        Raises NotFound, WrongOffset (naming the right one), WrongBytes, BrokenOff, NoSpace, StoreFailed,
        TooSlow, and Busy when somebody else is at it.
        """
        stands = await self.progress(image_id)
        if offset != stands.offset:
            raise WrongOffset(
                f"The deposit stands at byte {stands.offset}, not {offset}.",
                offset=stands.offset,
                image=image_id,
            )
        if stands.complete:
            return stands
        image = (await self._records.get(image_id)).image
        if image_id in self._senders:
            raise Busy(f"Image {image_id} is being sent by somebody else.", retry_after=1)
        task = self._senders[image_id] = asyncio.ensure_future(self._take_in(image, offset, chunks))
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()
                await asyncio.wait([task])
            elif (current := asyncio.current_task()) is not None and not current.cancelling():
                raise BrokenOff("The deposit goes on by a newer request.", image=image_id) from None
            raise
        finally:
            del self._senders[image_id]

    async def _sweep(self, image_id: str) -> None:
        try:
            await self._records.get(image_id)
        except NotFound:
            await self._publisher.evict(image_id)

    async def _end_sender(self, image_id: str) -> None:
        sender = self._senders.get(image_id)
        if sender is not None:
            sender.cancel()
            await asyncio.wait([sender])

    async def _take_in(self, image: Image, offset: int, chunks: Chunks) -> Progress:
        if offset == 0:
            await self._claim(image)
        partial = self._store.partial(image.id)
        fd = await unbroken(asyncio.to_thread(partial.open))
        saved = offset
        saving: asyncio.Task[None] | None = None

        def report(size: int) -> None:
            nonlocal saved, saving
            reached("deposit.written")
            if size - saved >= CHECKPOINT and (saving is None or saving.done()):
                saved = size
                saving = asyncio.ensure_future(self._save(image, partial))

        try:
            tally = await self._tally(image, fd, partial, offset)
            async with aclosing(paced(chunks, **self._pace)) as steady:
                await ingest(steady, fd, tally, limit=image.size or 0, report=report)
        except TooLarge:
            raise await self._refuse(image, "more bytes came than its record says") from None
        except BaseException:
            await unbroken(self._save(image, partial))
            raise
        finally:
            if saving is not None:
                await unbroken(saving)
            os.close(fd)
        if tally.size < (image.size or 0):
            await self._save(image, partial)
            return Progress(tally.size, complete=False)
        return await self._conclude(image, partial, tally)

    async def _conclude(self, image: Image, partial: Partial, tally: Tally) -> Progress:
        self._tallies.pop(image.id, None)
        algorithm, expected = promised_digest(image)
        if algorithm and tally.result().digests[algorithm] != expected:
            raise await self._refuse(image, f"the {algorithm} of the bytes is not the record's")
        await self._publisher.keep(image.id, partial, tally.size, cached=self._cached)
        await self._sweep(image.id)
        self.received += 1
        self._done()
        return Progress(tally.size, complete=True)

    async def _tally(self, image: Image, fd: int, partial: Partial, offset: int) -> Tally:
        """What is known of the first `offset` bytes: kept since they came, or read again after a restart."""
        if partial.size() > offset:
            await asyncio.to_thread(partial.truncate, offset)
        algorithm, _ = promised_digest(image)
        tally = self._tallies.pop(image.id, None)
        if tally is None or tally.size != offset:
            tally = Tally((algorithm,) if algorithm else ())
            await reread(fd, tally, offset)
        self._tallies[image.id] = tally
        return tally

    async def _save(self, image: Image, partial: Partial) -> None:
        """Make durable what has come, unless the image is gone meanwhile."""
        try:
            await self._records.get(image.id)
            if partial.size():
                await self._publisher.checkpoint(image.id, partial, size=image.size)
        except NotFound:
            await self._drop(image, "it was deleted")
        except SkerryError as error:
            log.warning("image %s: its deposit could not be made durable yet: %s", image.id, error)

    async def _refuse(self, image: Image, why: str) -> WrongBytes:
        self.refused += 1
        await self._drop(image, why)
        return WrongBytes(f"Image {image.id}: {why}.", image=image.id)

    async def _drop(self, image: Image, why: str) -> None:
        log.error("image %s: its deposit is dropped: %s", image.id, why)
        self._tallies.pop(image.id, None)
        await self._publisher.evict(image.id)
