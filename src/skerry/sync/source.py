"""What this site gives to the sites below it, and takes from them.

Down go the records of every home that is not the follower's own or below it; what this site holds of other
homes it hands on as it came. Up come all streams of the follower's part of the tree.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

from sqlalchemy import Connection

from skerry.catalog.copies import Copies
from skerry.catalog.journal import Journal
from skerry.catalog.offers import come_back
from skerry.catalog.records import Records
from skerry.core.errors import FeedRefused, Forbidden, NotFound, SkerryError
from skerry.core.feed.entry import Channel, Kind, Stream
from skerry.core.feed.follow import Change
from skerry.core.feed.journal import Page, Place
from skerry.core.feed.lines import Receipt
from skerry.core.feed.offer import has_newer_head, lacks
from skerry.sync.family import Family

log = logging.getLogger(__name__)

LONGEST_WAIT = 60.0
"""Seconds that a follower is kept waiting for news, at most."""

_ANSWER = 8 << 20
"""Bytes after which an answer is not begun another page of."""

_AT_WORK = 32
"""Sites from which is taken at the same time."""

_IN_LINE = 256
"""Sites that wait until they are; more are told to come back."""

Gone = Callable[[str], Awaitable[None]]
"""Removes the bytes of an image whose record is no more."""


class Source:
    """Answers the sites below. Raises Busy rather than having too many wait."""

    def __init__(
        self, journal: Journal, records: Records, family: Family, *, gone: Gone, follows: bool
    ) -> None:
        """`gone` hears of images that are no more; `follows`: there is a site above."""
        self._gone = gone
        self._follows = follows
        self._journal = journal
        self._records = records
        self._family = family
        self._turn = asyncio.Semaphore(_AT_WORK)
        self._in_line = 0
        self._closed = False
        self.waiting = 0
        """Followers that wait for news now."""

    async def give(
        self, site: str, places: Mapping[Stream, Place], *, but: Collection[Stream] = (), wait: float
    ) -> list[bytes]:
        """The next pages for a site that stands at `places`, as lines; of the streams `but` none.

        Returns at once when there is something, else as soon as there is, and after `wait` seconds with the
        heads that are newer than those it has.
        """
        deadline = asyncio.get_running_loop().time() + min(wait, LONGEST_WAIT)
        while True:
            news = self._journal.news(Channel.RECORDS)
            wanted = [stream for stream in self._down(site) if stream not in but]
            lacking = [stream for stream in wanted if self._lacks(stream, places)]
            if lacking:
                return await self._pages(site, lacking, places)
            if self._closed:
                return []
            self.waiting += 1
            try:
                async with asyncio.timeout_at(deadline):
                    await news.wait()
            except TimeoutError:
                stale = [stream for stream in wanted if self._has_newer_head(stream, places)]
                return await self._pages(site, stale, places)
            finally:
                self.waiting -= 1

    def close(self) -> None:
        """Let those go who wait for news: the site stops."""
        self._closed = True
        self._journal.wake(Channel.RECORDS)

    async def receive(self, site: str, pages: Iterable[Page]) -> Receipt:
        """Take what a site sends of its part of the tree. The receipt does not say yet what is wanted.

        Raises Forbidden for a stream that is not of it. A page that is refused is told of, and ends its
        stream for this time.
        """
        own = self._family.subtree(site)
        refused: dict[Stream, str] = {}
        async with self._at_work():
            for page in pages:
                if page.stream.home not in own:
                    raise Forbidden(f"{site} has nothing to say about {page.stream.home}.")
                if page.stream in refused:
                    continue
                try:
                    await self._take(page)
                except FeedRefused as why:
                    log.error("the feed of %s is not taken: %s", page.stream, why)
                    refused[page.stream] = str(why)
        known = (stream for stream in self._journal.streams() if stream.home in own)
        return Receipt({stream: self._journal.standing(stream).place for stream in known}, refused, ())

    @property
    def complete(self) -> bool:
        """Whether the records of every home were read to their end once: what is unknown is no more then."""
        name = self._family.name
        known = self._journal.streams(Channel.RECORDS)
        others = [self._journal.standing(stream) for stream in known if stream.home != name]
        return all(standing.head is not None for standing in others) and bool(others or not self._follows)

    async def sweep(self, copies: Copies) -> None:
        """Remove the bytes of images that are no more, as far as that was not done at once."""
        for image_id in await copies.orphans() if self.complete else ():
            log.info("image %s is no more, and so are its bytes", image_id)
            await self._gone(image_id)

    async def _take(self, page: Page) -> None:
        home = page.stream.home
        keys = self._family.keys(home)
        taken = await self._journal.take(page, keys, partial(keep, self._records, page.stream))
        await self._family.learn(page.stream, taken.changes)
        await tell_gone(self._records, self._gone, taken.changes)

    def _down(self, site: str) -> list[Stream]:
        """The streams that a site follows here: what this site says itself comes first."""
        own = self._family.subtree(site)
        streams = (stream for stream in self._journal.streams(Channel.RECORDS) if stream.home not in own)
        return sorted(streams, key=lambda stream: (stream.home != self._family.name, stream))

    def _lacks(self, stream: Stream, places: Mapping[Stream, Place]) -> bool:
        return lacks(self._journal.standing(stream), places.get(stream, Place()))

    def _has_newer_head(self, stream: Stream, places: Mapping[Stream, Place]) -> bool:
        return has_newer_head(self._journal.standing(stream), places.get(stream, Place()))

    async def _pages(
        self, site: str, streams: Sequence[Stream], places: Mapping[Stream, Place]
    ) -> list[bytes]:
        pages: list[bytes] = []
        for stream in streams:
            part = await self._journal.page(stream, places.get(stream, Place()))
            may_read = self._family.may_read(site, stream)
            pages.append(part.encoded if may_read is None else part.encode(may_read))
            if sum(map(len, pages)) >= _ANSWER:
                break
        return pages

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[None]:
        if self._in_line >= _IN_LINE:
            raise come_back()
        self._in_line += 1
        try:
            await self._turn.acquire()
        finally:
            self._in_line -= 1
        try:
            yield
        finally:
            self._turn.release()


def keep(records: Records, stream: Stream, connection: Connection, changes: Sequence[Change]) -> None:
    """What a page of a stream does to the catalogue, in the transaction that keeps it."""
    if stream.channel is Channel.RECORDS:
        records.take_on(connection, stream.home, changes)


async def tell_gone(records: Records, gone: Gone, changes: Sequence[Change]) -> None:
    """Remove the bytes of what a page has ended; what cannot be removed now is, by housekeeping.

    A site can say in its own stream that an image of another home is no more; that ends nothing.
    """
    for change in changes:
        if change.kind is Kind.IMAGE and change.entry is None:
            with suppress(SkerryError):
                try:
                    await records.get(change.id)
                except NotFound:
                    await gone(change.id)
