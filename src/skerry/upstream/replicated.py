"""The catalogue of a site whose records PostgreSQL's own replication brings (architecture A)."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from skerry.catalog import publication, rows
from skerry.catalog.base import Known, Page
from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.catalog.schema import HEAD, HEARTBEAT, VERSION
from skerry.core.clock import Clock
from skerry.core.errors import NotFound, SkerryError, StoreFailed
from skerry.core.freshness import Staleness
from skerry.core.image import Member
from skerry.core.query import Query, Scope

log = logging.getLogger(__name__)

POLL = 0.1
"""Seconds between looks at what has changed: memory is behind the replica for so long at most."""

_PATIENCE = 2.0
"""Seconds that a write waits at most until it has come back here."""

_FILLED = "The records are being copied here for the first time, or anew."


class ReplicatedCatalogue:
    """A Catalogue (see `catalog.base`) over a database that is only read here; `records` are its records.

    Answers are stale when it does not answer, and when the home's heartbeat has not changed for
    `silent_after` seconds. While it is being filled nothing is answered (StoreFailed).
    """

    def __init__(self, database: Database, records: Records, clock: Clock, *, silent_after: float) -> None:
        self._database = database
        self._records = records
        self._clock = clock
        self._silent_after = timedelta(seconds=silent_after)
        self._restarts = -1
        self._told_version = int(HEAD)
        self._news = asyncio.Event()
        self.complete = False
        """Whether all records that there are have been copied here."""
        self.trouble = "the replica was not read yet"
        """Why it cannot be read, or empty."""
        self.as_of: datetime | None = None
        """The home's time up to which all that it had written is here."""
        self._heard_at = clock.now()

    async def run(self) -> None:
        """Follow the replica until cancelled."""
        while True:
            try:
                await self.look()
            except SkerryError as error:
                self._note(str(error))
            await asyncio.sleep(POLL)

    async def look(self) -> None:
        """Have memory follow the replica, once."""
        counters = await self._records.catch_up()
        if "revision" not in counters:
            self.complete = False
        elif not self.complete or self._restarts != self._records.restarts:
            self.complete = not await self._database.read(publication.is_being_filled)
            self._restarts = self._records.restarts
        self._hear(counters.get(HEARTBEAT))
        self._compare(counters.get(VERSION, self._told_version))
        self._note("" if self.complete else _FILLED)
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def get(self, image_id: str) -> Known:
        """The record. Raises NotFound."""
        self._check()
        return Known((await self._records.get(image_id)).image, self._doubt())

    async def freshen(self, query: Query, scope: Scope) -> Staleness | None:
        """Nothing to wait for; what is lacking."""
        self._check()
        return self._doubt()

    async def page(self, query: Query, scope: Scope) -> Page:
        """A page of what is known."""
        self._check()
        return await self._records.page(query, scope)

    async def members(self, image_id: str) -> Sequence[Member]:
        """The members of an image. Raises NotFound."""
        self._check()
        return await self._records.members(image_id)

    def invalidate(self, image_id: str | None) -> None:
        """The replica brings what was written."""

    async def reached(self, revision: int) -> None:
        """Wait until a change is here, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._records.revision < revision:
                    await self._news.wait()

    async def knows(self, image_id: str) -> bool:
        """False only for what the home says that it has deleted: a replica may lack images for a while."""
        try:
            await self.get(image_id)
        except NotFound:
            with suppress(SkerryError):
                return not await self._database.read(lambda connection: rows.is_buried(connection, image_id))
        except SkerryError:
            pass
        return True

    async def flush(self) -> None:
        """Nothing is kept in memory alone."""

    def _check(self) -> None:
        if not self.complete:
            raise StoreFailed(f"The records cannot be read: {self.trouble}", retry_after=1)

    def _doubt(self) -> Staleness | None:
        reason = self.trouble
        if not reason and self._clock.now() - self._heard_at > self._silent_after:
            reason = "the home's database has not been heard of"
        if not reason:
            return None
        return Staleness(self.as_of or self._heard_at, reason)

    def _hear(self, heartbeat: int | None) -> None:
        """The home's clock may be another: what counts is when its heartbeat has changed, by ours."""
        beat = None if heartbeat is None else datetime.fromtimestamp(heartbeat, UTC)
        if beat is not None and beat != self.as_of:
            now = self._clock.now()
            self._heard_at = min(beat, now) if self.as_of is None else now
            self.as_of = beat

    def _compare(self, version: int) -> None:
        if version != self._told_version:
            self._told_version = version
            log.warning(
                "the home's tables are at version %04d, this program is for %s; see skerry db check",
                version,
                HEAD,
            )

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            if trouble:
                log.warning("the replica of the records: %s", trouble)
            else:
                log.info("the replica of the records is read")
