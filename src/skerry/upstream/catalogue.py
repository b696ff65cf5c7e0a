"""The catalogue of a site that lives from an upstream: asks it, and keeps the answers.

Within the TTL no call is made, except about images whose bytes are still on their way and about names that no
list had. Past it the record is checked: changed, deleted and deactivated images take effect. When upstream
does not answer, what is known is used until `max_stale`, and the answer says so. With a TTL of 0 every answer
is asked for: the site is one more API server of the upstream's image service.

An upstream may live from one itself and be cut off from it. It says so, and how old its knowledge is; that is
the age of the records here, too, but within the TTL it is not asked again.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from skerry.catalog.base import Known, Page
from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.core.clock import Clock
from skerry.core.errors import NoSpace, NotFound, SkerryError, UpstreamAway, UpstreamFailed
from skerry.core.freshness import Freshness, Staleness, judge
from skerry.core.image import Image, Member, Status, Visibility
from skerry.core.query import Query, Scope
from skerry.upstream.ages import Ages, true_at
from skerry.upstream.client import UpstreamImages

log = logging.getLogger(__name__)
T = TypeVar("T")

_LIST = ""
"""The key of the whole list, among the ids of images."""

_SETTLED = (Status.ACTIVE, Status.DEACTIVATED)

_AT_ONCE = 8
"""Checks that run at the same time after a list has been read."""

_SWEEP_PATIENCE = 2.0
"""Seconds that a list waits for memberships being read; what comes later shows in the next list."""

_MEMBERS_AT_A_TIME = 100
"""Images whose members are read again after each list: the Image API has no call for all of them at once."""


class RemoteCatalogue:
    """A Catalogue (see `catalog.base`) over `upstream`, with `records` as its memory.

    `ttl` and `max_stale` are in seconds. Calls for the same thing share one request, unless `ttl` is 0.
    """

    def __init__(
        self,
        upstream: UpstreamImages,
        records: Records,
        database: Database,
        clock: Clock,
        *,
        ttl: float,
        max_stale: float,
    ) -> None:
        self._upstream = upstream
        self._records = records
        self._database = database
        self._clock = clock
        self._ttl = ttl
        self._max_stale = max_stale
        self._ages = Ages(upstream.url)
        self._asking: dict[str, asyncio.Future[Any]] = {}
        self._sweep: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read how old the kept answers are."""
        await self._database.read(self._ages.load)

    async def flush(self) -> None:
        """Write down how old the kept answers are. A crash before it only means that more is asked again."""
        await self._database.write(self._ages.save)

    async def get(self, image_id: str) -> Known:
        """The record. Raises NotFound; UpstreamAway or UpstreamFailed when nothing usable is known."""
        image = self._records.cached(image_id) or await self._kept(image_id)
        verdict = self._judge_record(image) if image else Freshness.CHECK_OR_REFUSE
        if image is not None and verdict is Freshness.USE:
            return Known(image)
        doubt = self._doubt(image_id)
        if doubt and image is not None and verdict is Freshness.CHECK and image.status in _SETTLED:
            return Known(image, doubt)
        if not _is_uuid(image_id):
            raise NotFound(f"No image found with ID {image_id}", image=image_id)
        usable = image is not None and verdict is Freshness.CHECK
        try:
            return await self._share(
                image_id, lambda: self._check(image_id, fallback=usable), fallback=usable
            )
        except (UpstreamAway, UpstreamFailed) as error:
            if image is None or not usable:
                raise
            return Known(image, _stale(self._ages.record(image_id), error))

    async def freshen(self, query: Query, scope: Scope) -> Staleness | None:
        """Ask for upstream's list when it is older than the TTL, and for a name that is not among it."""
        stale = self._doubt(_LIST)
        try:
            if self._judge(self._ages.listed) is not Freshness.USE and stale is None:
                stale = await self._share(_LIST, self._walk, fallback=True)
            elif (
                len(names := query.equal.get("name", ())) == 1
                and not (await self._records.page(query, scope)).images
            ):
                look = partial(self._look_for, names[0], query.hidden)
                stale = await self._share(f"name {names[0]} {query.hidden}", look, fallback=True) or stale
        except (UpstreamAway, UpstreamFailed, NoSpace) as error:
            stale = _stale(self._ages.listed, error)
        if self._sweep is not None and not scope.is_admin:
            await asyncio.wait([self._sweep], timeout=_SWEEP_PATIENCE)
        return stale

    async def page(self, query: Query, scope: Scope) -> Page:
        """A page of what is known."""
        return await self._records.page(query, scope)

    async def members(self, image_id: str) -> Sequence[Member]:
        """The members of a shared image; the last known when upstream is away."""
        image = (await self.get(image_id)).image
        if image.visibility is not Visibility.SHARED:
            return ()
        read = self._ages.members(image_id)
        if self._judge(read) is not Freshness.USE:
            known = read is not None
            try:
                await self._share(
                    f"{image_id}/members",
                    lambda: self._check_members(image_id, fallback=known),
                    fallback=known,
                )
            except (UpstreamAway, UpstreamFailed, NoSpace):
                if not known:
                    raise
        return await self._records.members(image_id)

    def invalidate(self, image_id: str | None) -> None:
        """Ask before the next answer: something was just written through this site (None: a new image)."""
        self._ages.doubt(image_id, self._now() - self._ttl)

    async def reached(self, revision: int) -> None:
        """What was written is asked for, see `invalidate`."""

    async def knows(self, image_id: str) -> bool:
        """Whether upstream had the image when it was asked last."""
        return image_id in self._ages

    async def _kept(self, image_id: str) -> Image | None:
        return (await self._records.get(image_id)).image if image_id in self._ages else None

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _judge(self, checked: float | None) -> Freshness:
        age = None if checked is None else self._now() - checked
        return judge(age, ttl=self._ttl, max_stale=self._max_stale)

    def _judge_record(self, image: Image) -> Freshness:
        """An image whose bytes are on their way changes by itself, so it is always asked about."""
        verdict = self._judge(self._ages.record(image.id))
        return Freshness.CHECK if verdict is Freshness.USE and image.status not in _SETTLED else verdict

    def _doubt(self, key: str) -> Staleness | None:
        """What upstream has said within the TTL of the age of its own knowledge."""
        asked, stale = self._ages.said(key)
        return stale if self._judge(asked) is Freshness.USE else None

    async def _share(self, key: str, ask: Callable[[], Awaitable[T]], *, fallback: bool) -> T:
        """Make one request for all who want the same. A caller that goes away does not end it."""
        if self._ttl == 0:
            return await ask()
        running = self._asking.get(key)
        if running is not None:
            return await self._upstream.link.call(lambda: asyncio.shield(running), fallback=fallback)
        task = asyncio.ensure_future(ask())
        self._asking[key] = task
        task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _check(self, image_id: str, *, fallback: bool) -> Known:
        began = self._now()
        try:
            known = await self._upstream.image(image_id, fallback=fallback)
        except NotFound:
            await self._forget(image_id)
            raise NotFound(f"No image found with ID {image_id}", image=image_id) from None
        try:
            kept = await self._records.put(
                known.image, also=self._noting([image_id], true_at(began, known.stale))
            )
        except NoSpace as error:
            log.warning("image %s: what is new in its record cannot be kept: %s", image_id, error)
            return known
        self._ages.confirm([image_id], began, known.stale)
        return Known(kept, known.stale)

    async def _check_members(self, image_id: str, *, fallback: bool) -> None:
        began = self._now()
        try:
            members = await self._upstream.members(image_id, fallback=fallback)
        except NotFound:
            members = ()
        await self._records.put_members(image_id, members)
        self._ages.confirm_members([image_id], began)

    async def _walk(self) -> Staleness | None:
        """Read upstream's whole list, or learn that it is the one we have."""
        began = self._now()
        known = self._ages.etag
        etag: str | None = None
        stale: Staleness | None = None
        seen: set[str] = set()
        async for page in self._upstream.pages(known):
            etag, stale = etag or page.etag, stale or page.stale
            if page.images is None:
                self._confirm(began, stale)
            else:
                known = None
                seen |= await self._learn(page.images, began, stale)
        if known is None:
            self._ages.etag, self._ages.etag_at = etag, began
            await self._each(self._ages.ids() - seen, self._check)
            self._sweep_members(seen)
        self._ages.listed = self._ages.believe(_LIST, began, stale)
        return stale

    async def _look_for(self, name: str, hidden: bool | None) -> Staleness | None:
        """Learn of images of this name that are newer than the list."""
        began = self._now()
        stale: Staleness | None = None
        async for page in self._upstream.named(name, hidden=hidden):
            stale = stale or page.stale
            self._sweep_members(await self._learn(page.images or (), began, stale))
        return stale

    def _confirm(self, began: float, stale: Staleness | None) -> None:
        """All is as it was. Members that were read before the list was are not part of that: they are due."""
        self._ages.confirm_all(began, stale)
        if stale is None:
            self._sweep_members(self._ages.confirm_members_since(self._ages.etag_at, began))

    async def _learn(self, images: Sequence[Image], began: float, stale: Staleness | None) -> set[str]:
        """Keep records. Returns their ids."""
        ids = {image.id for image in images}
        await self._records.put_all(images, also=self._noting(ids, true_at(began, stale)))
        self._ages.confirm(ids, began, stale)
        return ids

    def _noting(self, image_ids: Collection[str], at: float) -> Callable[[Connection], None]:
        """Writes ages down in the transaction that keeps the records: a crash must not make a site that is
        cut off forget what it may use."""
        return lambda connection: self._ages.write(connection, image_ids, at)

    def _sweep_members(self, image_ids: set[str]) -> None:
        """Read members again in the background: of images never asked about, and of the longest unasked."""
        shared = [
            image_id
            for image_id in image_ids
            if (image := self._records.cached(image_id)) and image.visibility is Visibility.SHARED
        ]
        shared.sort(key=lambda image_id: self._ages.members(image_id) or 0.0)
        unasked = sum(self._ages.members(image_id) is None for image_id in shared)
        if self._sweep is None or self._sweep.done():
            due = shared[: max(unasked, _MEMBERS_AT_A_TIME)]
            self._sweep = asyncio.create_task(self._read_members(due), name="sweep-members")

    async def _read_members(self, image_ids: Sequence[str]) -> None:
        with suppress(UpstreamAway, UpstreamFailed):  # the next list goes on
            await self._each(image_ids, self._check_members)

    async def _each(self, image_ids: Collection[str], check: Callable[..., Awaitable[object]]) -> None:
        """Check several images, a few at a time; what upstream no longer has is forgotten by the check."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(image_id: str) -> None:
            async with turn:
                with suppress(NotFound, UpstreamFailed):  # one odd image must not hide all others
                    await check(image_id, fallback=True)

        await asyncio.gather(*(one(image_id) for image_id in image_ids))

    async def _forget(self, image_id: str) -> None:
        self._ages.forget(image_id)
        await self._records.drop(image_id)


def _stale(as_of: float | None, error: SkerryError) -> Staleness:
    return Staleness(datetime.fromtimestamp(as_of or 0.0, UTC), error.message)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
