"""The catalogue of a process that reads a database which another process of the site writes."""

import asyncio
from collections.abc import Callable, Sequence

from skerry.catalog.base import Known, Page
from skerry.catalog.records import Records
from skerry.core.image import Member
from skerry.core.query import Query, Scope


class Onlooker:
    """A Catalogue (see `catalog.base`) that never answers with less than its writer has told of.

    `written` is the number of the last change that somebody has been told of, and costs nothing to ask: as
    long as it is the one known here, memory answers.
    """

    def __init__(self, records: Records, written: Callable[[], int]) -> None:
        self._records = records
        self._written = written
        self._turn = asyncio.Lock()

    async def get(self, image_id: str) -> Known:
        """The record. Raises NotFound."""
        await self._catch_up()
        return await self._records.get(image_id)

    async def freshen(self, query: Query, scope: Scope) -> None:
        """Learn of what was written."""
        await self._catch_up()

    async def page(self, query: Query, scope: Scope) -> Page:
        """A page of what there is."""
        await self._catch_up()
        return await self._records.page(query, scope)

    async def members(self, image_id: str) -> Sequence[Member]:
        """The members of an image. Raises NotFound."""
        await self._catch_up()
        return await self._records.members(image_id)

    async def _catch_up(self) -> None:
        if self._written() > self._records.revision:
            async with self._turn:
                if self._written() > self._records.revision:
                    await self._records.catch_up()
