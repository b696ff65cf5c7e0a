"""Images that clients send: whole, staged for an import, or resumable, in pieces that survive a broken line.

While bytes come the image is `saving` (`uploading` when they are staged), so the record itself keeps a second
sender out. What ends badly leaves the image `queued`: a plain upload with no bytes, a resumable one with
those that were durable. What cannot become an image (too large, of a refused kind, no space) leaves no bytes.
"""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial as bound
from typing import Self

from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.core import receiving
from skerry.core.copy import CopyState
from skerry.core.errors import BrokenOff, Conflict, SkerryError, StoreFailed, WrongOffset
from skerry.core.image import Image, Status
from skerry.core.query import Query, Scope
from skerry.stores.base import Partial, Store
from skerry.transfer.ingest import Tally
from skerry.transfer.intake import Body, Chunks, Intake, contents
from skerry.transfer.publish import Publisher, Rule
from skerry.transfer.unbroken import unbroken

log = logging.getLogger(__name__)

CHECKPOINT = 64 << 20
"""A resumable upload is made durable each time that so many bytes have come."""

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a resumable upload is: `offset` bytes are durable here; `complete` when they are the image."""

    offset: int
    complete: bool


class Uploads:
    """All ways in for a client's bytes. A caller that is cancelled ends its upload as a broken line would.

    What all of them raise, beside what they say: InvalidInput, BrokenOff, BadImage, TooLarge, TooSlow,
    NoSpace, StoreFailed; NotFound at the start, and Gone when the image is deleted while its bytes come.
    """

    def __init__(
        self, records: Records, copies: Copies, store: Store, publisher: Publisher, intake: Intake
    ) -> None:
        self._records = records
        self._copies = copies
        self._store = store
        self._publisher = publisher
        self._intake = intake

    @property
    def running(self) -> int:
        """How many images have bytes sent to them now."""
        return self._intake.running

    @property
    def received(self) -> int:
        """Bytes that have been sent here since the start."""
        return self._intake.received

    async def receive(self, image_id: str, chunks: Chunks, length: int | None = None) -> Image:
        """Plain upload: the body is the image; `length` is its size in bytes where the client told it.

        Raises Conflict unless the image is queued.
        """
        self._intake.check_room(length)
        image = await self._publisher.begin(image_id, receiving.saving)
        return await self.bring(image, chunks, length)

    async def bring(self, image: Image, chunks: Chunks, length: int | None = None) -> Image:
        """Make a body the bytes of an image that is `saving` or `importing`."""
        async with self._intake.arriving(image.id) as arrival:
            tally = await arrival.run(self._intake.take_in(image, Body(chunks, length)))
            return await self._publish(image.id, tally)

    async def stage(self, image_id: str, chunks: Chunks, length: int | None = None) -> None:
        """Keep a body until it is imported; the image is `uploading` then. Raises Conflict unless queued."""
        self._intake.check_room(length)
        image = await self._publisher.begin(image_id, receiving.staging)
        async with self._intake.arriving(image_id) as arrival:
            tally = await arrival.run(self._intake.take_in(image, Body(chunks, length)))
            self._intake.forget(image_id)
            became = bound(receiving.staged, contents=contents(tally))
            partial = self._store.partial(image_id)
            await self._publisher.checkpoint(image_id, partial, size=tally.size, rule=became)

    async def publish_staged(self, image_id: str) -> Image:
        """Make staged bytes the image, which is `importing`. When that fails it is `uploading` again."""
        copy = self._copies.get(image_id)
        try:
            if copy is None or copy.size is None:
                raise StoreFailed(f"The staged bytes of image {image_id} are gone.", image=image_id)
            partial = self._store.partial(image_id)
            return await self._publisher.publish(image_id, partial, copy.size, receiving.imported)
        except SkerryError:
            await self._records.change(image_id, receiving.staged_again)
            raise

    async def progress(self, image_id: str) -> Progress:
        """How far the resumable upload of a queued image is; 0 for one that has not begun.

        An append that is still being waited for is ended: its client is the one who asks, on a new line.
        Raises Conflict when bytes come in another way.
        """
        await self._end_append(image_id)
        image = (await self._records.get(image_id)).image
        if image.has_data:
            return Progress(image.size or 0, complete=True)
        if image.status is not Status.QUEUED:
            raise Conflict(f"Image {image_id} is {image.status}: no upload to go on with.", image=image_id)
        copy = self._copies.get(image_id)
        return Progress(copy.durable if copy is not None else 0, complete=False)

    async def append(
        self, image_id: str, offset: int, chunks: Chunks, *, complete: bool, length: int | None = None
    ) -> Progress:
        """Go on with a resumable upload at byte `offset`; with `complete` the image ends with this body.

        Raises WrongOffset, naming the right one, when that is not where the upload stands. The last step may
        be said twice: nothing more, at the end of an image that is whole, is right.
        """
        stands = await self.progress(image_id)
        if offset != stands.offset or (stands.complete and length != 0):
            raise WrongOffset(
                f"The upload stands at byte {stands.offset}, not {offset}.",
                offset=stands.offset,
                image=image_id,
            )
        if stands.complete:
            return stands
        self._intake.check_room(length)
        image = await unbroken(self._records.change(image_id, receiving.saving))
        partial = self._store.partial(image_id)
        async with self._intake.arriving(image_id, resumable=True) as arrival:
            async with _Saver(self._publisher, partial, image_id, saved=offset) as saver:
                body = Body(chunks, length, start=offset, report=saver.reached)
                tally = await arrival.run(self._intake.take_in(image, body))
            if complete:
                await self._publish(image_id, tally)
            else:
                await self._publisher.checkpoint(image_id, partial, size=None, rule=receiving.given_up)
            return Progress(tally.size, complete)

    async def cancel(self, image_id: str) -> None:
        """Forget a resumable upload and its bytes; the image stays queued. Raises Conflict as `progress`."""
        if not (await self.progress(image_id)).complete:
            self._intake.forget(image_id)
            await self._publisher.abandon(image_id, receiving.given_up)

    async def delete(self, image_id: str, rule: Rule) -> Image:
        """Delete an image once `rule` lets it pass, and end the sending of bytes for it."""
        image = await self._publisher.delete(image_id, rule)
        arrival = self._intake.arrival(image_id)
        if arrival is not None:
            await arrival.end(receiving.gone(image_id))
        return image

    async def tidy_up(self) -> None:
        """End what could not be ended when its sender went away; to be called every so often."""
        await self._intake.tidy_up()

    async def recover(self) -> int:
        """After Publisher.recover: no record says any more that bytes come. Returns how many did."""
        changed, marker = 0, None
        while True:
            page = await self._records.page(_under_way(marker), Scope(project_id=None, is_admin=True))
            for image in page.images:
                if image.home is not None:
                    continue
                copy = self._copies.get(image.id)
                staged = copy is not None and copy.state is CopyState.PARTIAL
                await self._records.change(image.id, bound(receiving.recovered, staged=staged))
                changed += 1
            if page.next_marker is None:
                return changed
            marker = page.next_marker

    async def _publish(self, image_id: str, tally: Tally) -> Image:
        self._intake.forget(image_id)
        became = bound(receiving.active, contents=contents(tally))
        return await self._publisher.publish(image_id, self._store.partial(image_id), tally.size, became)

    async def _end_append(self, image_id: str) -> None:
        arrival = self._intake.arrival(image_id)
        if arrival is not None and arrival.resumable:
            await arrival.end(BrokenOff("The upload goes on by a newer request.", image=image_id))


class _Saver:
    """Makes a resumable upload durable while it comes; on leaving, waits for what it has begun."""

    def __init__(self, publisher: Publisher, partial: Partial, image_id: str, *, saved: int) -> None:
        self._publisher = publisher
        self._partial = partial
        self._image_id = image_id
        self._saved = saved
        self._saving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._saving is not None:
            await unbroken(self._saving)

    def reached(self, written: int) -> None:
        """Note that so many bytes are in the file."""
        if written - self._saved >= CHECKPOINT and (self._saving is None or self._saving.done()):
            self._saved = written
            self._saving = asyncio.ensure_future(self._save())

    async def _save(self) -> None:
        try:
            await self._publisher.checkpoint(self._image_id, self._partial, size=None)
        except SkerryError as error:
            log.warning("image %s: its upload could not be made durable yet: %s", self._image_id, error)


def _under_way(marker: str | None) -> Query:
    """Images whose record says that bytes come, or are staged."""
    statuses = (Status.SAVING, Status.UPLOADING, Status.IMPORTING)
    return Query(
        equal={"status": statuses},
        properties={},
        every_visibility=True,
        member_status=None,
        hidden=None,
        limit=_PAGE,
        marker=marker,
    )
