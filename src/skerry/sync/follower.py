"""Follows the site above, and sends up what the sites of this part of the tree have written."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core.clock import Clock
from skerry.core.errors import FeedRefused, SkerryError, UpstreamFailed
from skerry.core.feed.entry import Channel, Stream
from skerry.core.feed.journal import Page, Place, Standing
from skerry.core.feed.lines import Receipt
from skerry.core.feed.offer import has_newer_head, lacks
from skerry.core.retries import Backoff, Retries
from skerry.sync.above import Above
from skerry.sync.family import Family
from skerry.sync.source import Gone, keep, tell_gone
from skerry.upstream.link import Link

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
"""Seconds before the site above is asked again after it could not answer: at first, and at most."""

_FIRST_REREAD = 10.0
_LAST_REREAD = 600.0
"""Seconds before a stream that was refused is asked for again: at first, and at most."""

_LOOK_AT_HEADS = 60.0
"""Seconds between looks whether heads have been signed afresh that the site above has not."""

POLL = 12.0
"""Seconds that a poll waits for news. Less than the silence after which the site above is asked whether it is
there, or each poll at rest would cost a second connection."""

_LEAST_POLL = 1.0
"""Seconds that a poll without news takes at least, whatever the site above makes of it."""

_SENT = 4 << 20
"""Bytes after which a request is not begun another page of."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of the site above as a source: when it last answered, and why it does not, if so."""

    heard_at: datetime | None = None
    trouble: str = ""


class Follower:
    """Two loops that end only when they are cancelled: one takes what is above, one gives what is here."""

    def __init__(
        self,
        journal: Journal,
        records: Records,
        family: Family,
        above: Above,
        link: Link,
        clock: Clock,
        *,
        wait: float = POLL,
        gone: Gone,
        wanted: Callable[[Sequence[str]], None],
    ) -> None:
        """`wait` is how long a poll may wait for news, in seconds. `gone` hears of images that are no more,
        `wanted` of those whose bytes the site above lacks."""
        self._journal = journal
        self._records = records
        self._family = family
        self._above = above
        self._link = link
        self._clock = clock
        self._wait = wait
        self._gone = gone
        self._wanted = wanted
        self._rereads = Retries(first=_FIRST_REREAD, longest=_LAST_REREAD)
        self._refusals = Retries(first=_FIRST_REREAD, longest=_LAST_REREAD)
        self._troubled: set[Stream] = set()
        self._places: dict[Stream, Place] | None = None
        self._confirmed: dict[Stream, Place] = {}
        self.contact = Contact()
        """How following goes."""
        self.sending = ""
        """What is wrong with sending, if anything."""
        self.refused: dict[Stream, str] = {}
        """Streams of this part of the tree that the site above does not take, and why."""

    async def run(self) -> None:
        """Follow and send until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again_and_again(self._follow, self._followed), name="follow-feed")
            group.create_task(self._again_and_again(self._send, self._sent), name="send-feed")

    async def _again_and_again(
        self, step: Callable[[], Awaitable[None]], ended: Callable[[str], None]
    ) -> None:
        """Do `step` for ever, whatever it raises; `ended` hears what was wrong with it, or nothing."""
        backoff = Backoff(first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        last = ""
        while True:
            await self._link.wait_connected()
            at_least = 0.0
            try:
                await step()
                backoff.succeeded()
                last = ""
                ended("")
                continue
            except SkerryError as error:
                at_least = error.retry_after or 0.0
                said = str(error)
                if said != last:
                    log.warning("the feed: %s", said)
            except Exception as error:
                said = repr(error)
                log.exception("the feed: a step failed; it is tried again")
            last = said
            ended(said)
            await asyncio.sleep(backoff.failed(at_least if self._link.connected else 0.0))

    @property
    def unsent(self) -> int:
        """Entries of this part of the tree that the site above had not by its last word."""
        lacking = 0
        for stream in self._up():
            place, standing = self._confirmed.get(stream, Place()), self._journal.standing(stream)
            lacking += standing.revision - (place.revision if place.epoch == standing.epoch else 0)
        return max(0, lacking)

    async def reached(self, stream: Stream, place: Place, *, patience: float) -> bool:
        """Wait until a stream is here up to a place, for `patience` seconds at most; whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while True:
                    news = self._journal.news(stream.channel)
                    here = self._journal.standing(stream)
                    if (here.epoch, here.revision) >= (place.epoch, place.revision):
                        return True
                    await news.wait()
        return False

    # Down

    def _followed(self, trouble: str) -> None:
        heard_at = self._clock.now() if not trouble else self.contact.heard_at
        self.contact = Contact(heard_at, trouble)

    async def _follow(self) -> None:
        began = time.monotonic()
        own = self._family.subtree(self._family.name)
        paused = {stream for stream in self._troubled if not self._rereads.due(str(stream), began)}
        places = {
            stream: self._journal.standing(stream).place
            for stream in self._journal.streams(Channel.RECORDS)
            if stream.home not in own and stream not in paused
        }
        wait = min(self._wait, self._rereads.wait(began) or self._wait)
        given = await self._above.poll(places, but=paused, wait=wait)
        if not given:
            await asyncio.sleep(began + _LEAST_POLL - time.monotonic())
            return
        pages = [page for page in given if page.stream not in paused]
        before = self._stand(pages)
        refused = [page.stream for page in pages if not await self._take(page, own)]
        if self._stand(pages) == before and not refused:
            raise UpstreamFailed("The site above gives what is here already, or was not asked for.")

    def _stand(self, pages: Sequence[Page]) -> list[Standing]:
        return [self._journal.standing(page.stream) for page in pages]

    async def _take(self, page: Page, own: frozenset[str]) -> bool:
        """Keep a page; False when it is refused, and its stream is left alone for a while."""
        stream = page.stream
        try:
            if stream.channel is not Channel.RECORDS or stream.home in own:
                raise FeedRefused(f"{stream} is not followed from above.", trouble="forged")
            keys = self._family.keys(stream.home)
            if not keys:
                raise FeedRefused(f"{stream.home} is not known here, nor how it signs.", trouble="forged")
            taken = await self._journal.take(page, keys, partial(keep, self._records, stream))
        except FeedRefused as why:
            self._troubled.add(stream)
            self._rereads.failed(str(stream), time.monotonic())
            log.error("the feed of %s is not taken: %s", stream, why)
            return False
        if taken.standing.trouble is None and not taken.standing.reason:
            self._troubled.discard(stream)
            self._rereads.forget(str(stream))
        await self._family.learn(stream, taken.changes)
        await tell_gone(self._records, self._gone, taken.changes)
        return True

    # Up

    def _sent(self, trouble: str) -> None:
        self.sending = trouble
        if trouble:
            self._places = None

    async def _send(self) -> None:
        """Send what the site above lacks, or wait until there is something."""
        events = [self._journal.news(channel) for channel in Channel]
        if self._places is None:
            await self._push([])
        elif not await self._push_lacking(heads=False):
            try:
                async with asyncio.timeout(_LOOK_AT_HEADS):
                    await _first(events)
            except TimeoutError:
                await self._push_lacking(heads=True)

    async def _push_lacking(self, *, heads: bool) -> bool:
        """Send the next page of each stream that is lacking above; whether there was any."""
        now = time.monotonic()
        known = self._places or {}
        pages: list[bytes] = []
        sent: dict[Stream, Place] = {}
        for stream in self._up():
            place, standing = known.get(stream, Place()), self._journal.standing(stream)
            if not self._refusals.due(str(stream), now):
                continue
            if lacks(standing, place) or (heads and has_newer_head(standing, place)):
                pages.append((await self._journal.page(stream, place)).encoded)
                sent[stream] = place
                if sum(map(len, pages)) >= _SENT:
                    break
        if not pages:
            return False
        receipt = await self._push(pages)
        for stream in sent.keys() - receipt.refused.keys():
            self._refusals.forget(str(stream))
        stands = (receipt.places.get(stream, Place()) == place for stream, place in sent.items())
        if not heads and not receipt.refused and all(stands):
            raise UpstreamFailed("The site above has taken nothing of what was sent, and does not say why.")
        self.refused = dict(receipt.refused)
        return True

    async def _push(self, pages: Sequence[bytes]) -> Receipt:
        receipt = await self._above.push(pages)
        self._places = self._confirmed = dict(receipt.places)
        for stream, why in receipt.refused.items():
            self._refusals.failed(str(stream), time.monotonic())
            if self.refused.get(stream) != why:
                log.error("the site above does not take the feed of %s: %s", stream, why)
        self._wanted(receipt.wants)
        return receipt

    def _up(self) -> list[Stream]:
        """The streams of this part of the tree that were written in, or begun anew."""
        own = self._family.subtree(self._family.name)
        return [stream for stream in self._journal.streams() if stream.home in own and self._is_begun(stream)]

    def _is_begun(self, stream: Stream) -> bool:
        standing = self._journal.standing(stream)
        return standing.revision > 0 or standing.epoch > 1


async def _first(events: Sequence[asyncio.Event]) -> None:
    """Return when one of the events has come."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
