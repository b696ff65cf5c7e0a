"""Which bytes are at this site: all of it in memory, every change of state in the database first."""

from collections.abc import Callable, Collection
from dataclasses import asdict, replace

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from skerry.catalog import schema
from skerry.catalog.database import Database
from skerry.core.clock import Clock
from skerry.core.copy import Copy, CopyState
from skerry.core.image import Status

_FIXED = (Status.ACTIVE, Status.DEACTIVATED)

Rule = Callable[[Copy | None], Copy | None]
"""From what is known of a copy, if anything, to what shall be; None leaves no row."""


class Copies:
    """The copies of this site.

    Counting a hit costs no write; `flush` makes the counts durable, and those since the last one are lost
    in a crash.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._copies: dict[str, Copy] = {}
        self._touched: set[str] = set()
        self._version = 0

    async def load(self) -> None:
        """Read all copies into memory. Call once, before anything else."""
        rows = await self._database.read(lambda connection: connection.execute(select(schema.copies)).all())
        loaded = (Copy(**row._mapping) for row in rows)
        self._copies = {copy.image_id: replace(copy, state=CopyState(copy.state)) for copy in loaded}

    @property
    def version(self) -> int:
        """Grows with each change but for uses: two equal answers mean that nothing changed in between."""
        return self._version

    def get(self, image_id: str) -> Copy | None:
        """The copy of an image, or None."""
        return self._copies.get(image_id)

    def all(self) -> list[Copy]:
        """Every copy."""
        return list(self._copies.values())

    async def lacking(self, homes: Collection[str], most: int) -> list[str]:
        """Images of these homes whose bytes are fixed, and whole nowhere here; the oldest first."""
        images, copies = schema.images.c, schema.copies.c
        whole = exists().where(copies.image_id == images.id, copies.state == CopyState.COMPLETE)
        query = (
            select(images.id)
            .where(images.home.in_(homes), images.status.in_(_FIXED), images.size.is_not(None), ~whole)
            .order_by(images.created_at, images.id)
            .limit(most)
        )
        return await self._database.read(lambda connection: list(connection.scalars(query)))

    async def orphans(self) -> list[str]:
        """Copies of images that no record is known of."""
        recorded = exists().where(schema.images.c.id == schema.copies.c.image_id)
        query = select(schema.copies.c.image_id).where(~recorded)
        return await self._database.read(lambda connection: list(connection.scalars(query)))

    async def put(self, copy: Copy) -> None:
        """Add a copy, or replace what was known of it."""
        await self._database.write(lambda connection: self.put_on(connection, copy))

    async def change(self, image_id: str, rule: Rule, *, makes_room: bool = False) -> None:
        """Apply a rule to what is known of a copy, so that no other change is lost.

        `makes_room` is that of `Database.write`.
        """
        await self._database.write(
            lambda connection: self.change_on(connection, image_id, rule), makes_room=makes_room
        )

    async def remove(self, image_id: str) -> None:
        """Forget a copy; no error when there is none."""
        await self._database.write(lambda connection: self.remove_on(connection, image_id), makes_room=True)

    def change_on(self, connection: Connection, image_id: str, rule: Rule) -> None:
        """`change` within a transaction that runs already, at most once in each; memory follows."""
        copy = rule(self._copies.get(image_id))
        if copy is None:
            self.remove_on(connection, image_id)
        else:
            self.put_on(connection, copy)

    def put_on(self, connection: Connection, copy: Copy) -> None:
        """`put` within a transaction that runs already; memory follows when it lands."""
        connection.execute(delete(schema.copies).where(schema.copies.c.image_id == copy.image_id))
        connection.execute(insert(schema.copies).values(asdict(copy)))
        self._database.when_landed(lambda: self._keep(copy))

    def remove_on(self, connection: Connection, image_id: str) -> None:
        """`remove` within a transaction that runs already; memory follows when it lands."""
        connection.execute(delete(schema.copies).where(schema.copies.c.image_id == image_id))
        self._database.when_landed(lambda: self._forget(image_id))

    def touch(self, image_id: str) -> None:
        """Count a use of a copy, now, in memory."""
        copy = self._copies.get(image_id)
        if copy is not None:
            now = self._clock.now().timestamp()
            self._copies[image_id] = replace(copy, hits=copy.hits + 1, last_used=now)
            self._touched.add(image_id)

    async def flush(self) -> None:
        """Make the uses counted so far durable."""
        touched, self._touched = self._touched, set()
        copies = [copy for image_id in touched if (copy := self._copies.get(image_id)) is not None]
        if copies:
            try:
                await self._database.write(lambda connection: _write_uses(connection, copies))
            except BaseException:
                self._touched |= touched
                raise

    def _keep(self, copy: Copy) -> None:
        self._copies[copy.image_id] = copy
        self._version += 1

    def _forget(self, image_id: str) -> None:
        self._version += 1
        self._copies.pop(image_id, None)
        self._touched.discard(image_id)


def _write_uses(connection: Connection, copies: list[Copy]) -> None:
    counted = update(schema.copies).where(schema.copies.c.image_id == bindparam("of"))
    counted = counted.values(hits=bindparam("hits"), last_used=bindparam("last_used"))
    uses = [{"of": copy.image_id, "hits": copy.hits, "last_used": copy.last_used} for copy in copies]
    connection.execute(counted, uses)
