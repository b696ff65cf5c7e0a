"""The catalogue of a site that follows a feed: answers from its own database, never waits for the line."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from skerry.catalog.base import Known, Page
from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core.clock import Clock
from skerry.core.errors import NotFound
from skerry.core.feed.entry import Channel, Stream
from skerry.core.feed.journal import Standing, Trouble
from skerry.core.freshness import Staleness
from skerry.core.image import Member
from skerry.core.query import Query, Scope
from skerry.sync.follower import Contact

_NEVER = datetime.fromtimestamp(0, UTC)

_WHY = {
    Trouble.FORGED: "its home has not signed what is given out as its records",
    Trouble.OLDER: "its home's records are older than they were before",
    Trouble.MIXED: "its home's records do not add up",
    Trouble.WITHHELD: "its home has vouched for nothing for too long",
}


class ReplicaCatalogue:
    """A Catalogue (see `catalog.base`) of what the feed has brought, and of this site's own images.

    What is known of other sites' images is stale when their home's stream is in trouble, or when the site
    above has said nothing for `silent_after` seconds.
    """

    def __init__(
        self,
        records: Records,
        journal: Journal,
        clock: Clock,
        contact: Callable[[], Contact],
        *,
        silent_after: float,
    ) -> None:
        self._records = records
        self._journal = journal
        self._clock = clock
        self._contact = contact
        self._silent_after = timedelta(seconds=silent_after)
        self._since = clock.now()

    async def get(self, image_id: str) -> Known:
        """The record. Raises NotFound."""
        image = (await self._records.get(image_id)).image
        if image.home is None:
            return Known(image)
        return Known(image, self._doubt(self._journal.standing(Stream(image.home))))

    async def freshen(self, query: Query, scope: Scope) -> Staleness | None:
        """Nothing to wait for; the oldest of what the list may lack."""
        followed = list(self._followed())
        if not followed:
            return self._silence(None)
        doubts = [doubt for standing in followed if (doubt := self._doubt(standing)) is not None]
        return min(doubts, key=lambda doubt: doubt.as_of, default=None)

    async def page(self, query: Query, scope: Scope) -> Page:
        """A page of what is known."""
        return await self._records.page(query, scope)

    async def members(self, image_id: str) -> Sequence[Member]:
        """The members of an image."""
        return await self._records.members(image_id)

    def invalidate(self, image_id: str | None) -> None:
        """The feed brings what was written."""

    async def flush(self) -> None:
        """Nothing is kept in memory alone."""

    async def reached(self, revision: int) -> None:
        """The feed has places of its own."""

    async def knows(self, image_id: str) -> bool:
        """Whether there may be such an image: as long as a stream was never read to its end, any."""
        try:
            await self._records.get(image_id)
        except NotFound:
            followed = list(self._followed())
            return not followed or any(standing.head is None for standing in followed)
        return True

    def _followed(self) -> Iterator[Standing]:
        for stream in self._journal.streams():
            if stream.home != self._journal.home and stream.channel is Channel.RECORDS:
                yield self._journal.standing(stream)

    def _doubt(self, standing: Standing) -> Staleness | None:
        trouble = standing.judged(self._clock.now())
        if trouble is not None:
            return Staleness(standing.as_of or _NEVER, f"{standing.stream}: {_WHY[trouble]}")
        return self._silence(standing.as_of)

    def _silence(self, as_of: datetime | None) -> Staleness | None:
        """Whether the site above has been silent for too long."""
        contact = self._contact()
        heard_at = contact.heard_at or self._since
        if self._clock.now() - heard_at <= self._silent_after:
            return None
        return Staleness(as_of or _NEVER, contact.trouble or "the site above is silent")
