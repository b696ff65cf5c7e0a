"""The primary catalogue: this site's own database, with the records in use held in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from skerry.catalog import rows, schema, selection
from skerry.catalog.base import Known, Page
from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.memory import Memory
from skerry.catalog.rows import Entry
from skerry.catalog.taking import take, take_member, take_own, unknown
from skerry.catalog.writer import Writer, same
from skerry.core.clock import Clock
from skerry.core.errors import Conflict, InvalidInput, TooLarge
from skerry.core.feed.follow import Change
from skerry.core.image import Image, Member, MemberStatus, Status
from skerry.core.query import Query, Scope

Rule = Callable[[Image], Image]
Also = Callable[[Connection], None] | None

_AT_A_TIME = 1000
"""Records that are read by one statement."""

_MOST_NEWS = 1000
"""Changes by others that are looked at one by one; after more, memory begins anew."""

_BACKFILLED = 100
"""Images that are entered in one transaction."""


class Changes(NamedTuple):
    """Images that are new or changed up to `revision`, and the ids of those that are gone."""

    revision: int
    images: list[Image]
    gone: list[str]


class Records:
    """`PrimaryCatalogue` on a `Database`; the only writer of records in this process.

    Every change is one transaction and has a revision of its own. What a caller gives as `also` is called
    with the open transaction and stands or falls with it. A rule and an `also` of `delete` may be called
    twice, see `Database.write`.

    With a journal each change of an image whose home is this site is entered there in the same transaction.
    """

    def __init__(
        self, database: Database, clock: Clock, *, journal: Journal | None = None, held: int = 10_000
    ) -> None:
        """Keep up to `held` records in memory."""
        self._database = database
        self._journal = journal
        self._clock = clock
        self._memory = Memory(held)
        self._writer = Writer(database, self._memory, journal, clock)

    async def load(self) -> None:
        """Read where the catalogue stands. Call once, before anything else."""
        self._memory.revision = await self._database.read(rows.newest_revision)

    @property
    def revision(self) -> int:
        """The number of the last change that has landed."""
        return self._memory.revision

    def tell(self, others: Callable[[int], None]) -> None:
        """Have others told of the revision now, and of each that lands, before anybody else hears of it."""
        self._memory.tell = others
        others(self._memory.revision)

    @property
    def state(self) -> str:
        """What names this state of the catalogue, for as long as this process runs."""
        return f"{self._memory.restarts}-{self._memory.revision}"

    @property
    def restarts(self) -> int:
        """How often `catch_up` has found another catalogue than before."""
        return self._memory.restarts

    async def catch_up(self) -> Mapping[str, int]:
        """Have memory follow what somebody else has written; one call at a time. Returns the counters.

        For a database that this process only reads: `revision` says how far it has been followed.
        """
        since = self._memory.revision
        news = await self._database.read(lambda connection: rows.news(connection, since, most=_MOST_NEWS))
        self._memory.catch_up(news.counters.get("revision", 0), news.changed)
        return news.counters

    # Reading

    def cached(self, image_id: str) -> Image | None:
        """The record when it is in memory, which says nothing about whether it exists."""
        entry = self._memory.get(image_id)
        return entry.image if entry is not None else None

    async def get(self, image_id: str) -> Known:
        """The record. Raises NotFound."""
        return Known((await self._entry(image_id)).image)

    async def members(self, image_id: str) -> Sequence[Member]:
        """The members of an image, oldest first. Raises NotFound."""
        return (await self._entry(image_id)).members

    async def ids(self) -> list[str]:
        """The ids of all images, in order."""
        query = select(schema.images.c.id).order_by(schema.images.c.id)
        return await self._database.read(lambda connection: list(connection.scalars(query)))

    async def since(self, revision: int) -> Changes:
        """What has changed after a revision; after 0, all that there is."""

        def work(connection: Connection) -> Changes:
            newest = rows.newest_revision(connection)
            changed = list(
                connection.scalars(select(schema.images.c.id).where(schema.images.c.revision > revision))
            )
            images: list[Image] = []
            for first in range(0, len(changed), _AT_A_TIME):
                found = rows.load(connection, changed[first : first + _AT_A_TIME])
                images += [entry.image for entry in found.values()]
            gone = select(schema.tombstones.c.image_id).where(schema.tombstones.c.revision > revision)
            return Changes(newest, images, list(connection.scalars(gone)) if revision else [])

        return await self._database.read(work)

    async def counts(self) -> dict[Status, int]:
        """How many images there are in each status that one is in."""
        query = select(schema.images.c.status, func.count()).group_by(schema.images.c.status)
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return {Status(status): count for status, count in found}

    async def freshen(self, query: Query, scope: Scope) -> None:
        """Nothing to do: nobody else writes these records."""

    async def page(self, query: Query, scope: Scope) -> Page:
        """The images that `query` selects among those that `scope` may list.

        Raises InvalidInput for a marker that `scope` cannot see.
        """
        page = self._memory.page((query, scope))
        if page is None:
            began = self._memory.revision
            entries = await self._database.read(lambda connection: self._find(connection, query, scope))
            images = [entry.image for entry in entries[: query.limit]]
            page = Page(images, images[-1].id if len(entries) > query.limit > 0 else None)
            self._memory.learn(entries, began)
            self._memory.learn_page((query, scope), page, began)
        return page

    def _find(self, connection: Connection, query: Query, scope: Scope) -> list[Entry]:
        marker = None
        if query.marker is not None:
            last = self._pick(connection, [(query.marker, None)]).get(query.marker)
            if last is None or not selection.may_see(scope, last.image, last.members):
                raise InvalidInput(f"No image found with ID {query.marker}")
            marker = last.image
        found = connection.execute(selection.page(query, scope, marker)).all()
        entries = self._pick(connection, [(row.id, row.revision) for row in found])
        return [entries[row.id] for row in found]

    def _pick(self, connection: Connection, wanted: Sequence[tuple[str, int | None]]) -> dict[str, Entry]:
        """Entries as this transaction sees them, from memory where that has the same revision."""
        picked: dict[str, Entry] = {}
        for image_id, revision in wanted:
            entry = self._memory.get(image_id)
            if entry is not None and revision in (None, entry.image.revision):
                picked[image_id] = entry
        if missing := [image_id for image_id, _ in wanted if image_id not in picked]:
            picked |= rows.load(connection, missing)
        return picked

    async def _entry(self, image_id: str) -> Entry:
        entry = self._memory.get(image_id)
        if entry is None:
            began = self._memory.revision
            loaded = await self._database.read(lambda connection: rows.load(connection, [image_id]))
            if image_id not in loaded:
                raise unknown(image_id)
            entry = loaded[image_id]
            self._memory.learn([entry], began)
        return entry

    # Writing

    async def create(self, image: Image, also: Also = None) -> Image:
        """Add a record. Raises Conflict when the id is or ever was in use."""

        def work(connection: Connection) -> Image:
            if rows.load(connection, [image.id]) or rows.is_buried(connection, image.id):
                raise Conflict(f"Image ID {image.id} already exists!", image=image.id)
            created = self._writer.add(connection, _in_seconds(image))
            if also is not None:
                also(connection)
            return created

        return await self._database.write(work)

    async def change(self, image_id: str, rule: Rule, also: Also = None) -> Image:
        """Apply a rule to a record. Raises NotFound and what the rule raises."""

        def work(connection: Connection) -> Image:
            entry = take_own(connection, image_id)
            new = rule(entry.image)
            if new != entry.image:
                new = self._writer.change(connection, entry, replace(new, updated_at=self._now()))
            if also is not None:
                also(connection)
            return new

        return await self._database.write(work)

    async def note_index(self, image_id: str, digest: str, also: Also = None) -> None:
        """Say which index the bytes of an own image have; for its users nothing changes. Raises NotFound."""

        def work(connection: Connection) -> None:
            entry = take_own(connection, image_id)
            if entry.image.index != digest:
                self._writer.change(connection, entry, replace(entry.image, index=digest))
            if also is not None:
                also(connection)

        await self._database.write(work)

    async def delete(self, image_id: str, rule: Rule, also: Also = None) -> Image:
        """Replace the record by a tombstone once `rule` has let it pass. Returns the last record."""

        def work(connection: Connection) -> Image:
            last = rule(take_own(connection, image_id).image)
            self._writer.bury(connection, last)
            if also is not None:
                also(connection)
            return last

        return await self._database.write(work, makes_room=True)

    async def add_member(self, image_id: str, project_id: str, *, most: int) -> Member:
        """Share an image (status pending). Conflict when it is, TooLarge over `most` members."""

        def work(connection: Connection) -> Member:
            entry = take_own(connection, image_id)
            if any(member.project_id == project_id for member in entry.members):
                raise Conflict(
                    f"The target member {project_id} is already associated with image {image_id}.",
                    image=image_id,
                    member=project_id,
                )
            if len(entry.members) >= most:
                raise TooLarge(
                    f"The limit has been exceeded on the number of allowed image members for this image. "
                    f"Attempted: {len(entry.members) + 1}, Maximum: {most}",
                    image=image_id,
                )
            now = self._now()
            member = Member(image_id, project_id, MemberStatus.PENDING, created_at=now, updated_at=now)
            self._writer.share(connection, entry, (*entry.members, member))
            return member

        return await self._database.write(work)

    async def set_member_status(self, image_id: str, project_id: str, status: MemberStatus) -> Member:
        """Record what the project answered. Raises NotFound."""

        def work(connection: Connection) -> Member:
            entry, member = take_member(connection, image_id, project_id)
            answered = replace(member, status=status, updated_at=self._now())
            kept = tuple(answered if other is member else other for other in entry.members)
            self._writer.share(connection, entry, kept)
            return answered

        return await self._database.write(work)

    async def remove_member(self, image_id: str, project_id: str) -> None:
        """End the sharing. Raises NotFound."""

        def work(connection: Connection) -> None:
            entry, member = take_member(connection, image_id, project_id)
            self._writer.share(
                connection, entry, tuple(other for other in entry.members if other is not member)
            )

        await self._database.write(work)

    # Keeping the records of other sites

    async def put(self, image: Image, also: Also = None) -> Image:
        """Keep a record exactly as another site has it, but for `revision`.

        The same again costs nothing: then there is no transaction, and no `also`.
        """
        image = _in_seconds(image)
        held = self.cached(image.id)
        if held is not None and same(held, image):
            return held
        return (await self._database.write(lambda connection: self._put(connection, [image], also)))[0]

    async def put_all(self, images: Sequence[Image], also: Also = None) -> None:
        """`put` of several in one transaction."""
        new = {image.id: image for image in map(_in_seconds, images)}
        for image_id in list(new):
            held = self.cached(image_id)
            if held is not None and same(held, new[image_id]):
                del new[image_id]
        if new:
            await self._database.write(lambda connection: self._put(connection, list(new.values()), also))

    async def put_members(self, image_id: str, members: Sequence[Member]) -> None:
        """Keep the members of an image exactly as another site has them. Raises NotFound."""
        ordered = tuple(sorted(members, key=lambda member: (member.created_at, member.project_id)))

        def work(connection: Connection) -> None:
            entry = take(connection, image_id)
            if ordered != entry.members:
                self._writer.share(connection, entry, ordered)

        held = self._memory.get(image_id)
        if held is None or held.members != ordered:
            await self._database.write(work)

    async def drop(self, image_id: str) -> None:
        """Forget a record of another site, leaving a tombstone; no error when it is not known."""

        def work(connection: Connection) -> None:
            entry = rows.load(connection, [image_id], lock=True).get(image_id)
            if entry is not None:
                self._writer.bury(connection, entry.image)

        await self._database.write(work, makes_room=True)

    def take_on(self, connection: Connection, home: str, changes: Sequence[Change]) -> None:
        """Keep what another home says of its images, in the transaction that keeps its page of the feed."""
        self._writer.take(connection, home, changes)

    async def forget_remote(self) -> None:
        """Forget the records that an upstream was asked for before this site followed a feed.

        Call before `load`. The feed brings them again, and says who is home to them.
        """
        asked = select(schema.replicas.c.image_id)
        await self._database.write(
            lambda connection: connection.execute(delete(schema.images).where(schema.images.c.id.in_(asked)))
        )

    async def backfill(self) -> int:
        """Enter the images of this site that the journal does not know yet; returns how many there were.

        They were here before it. Idempotent, and a few in each transaction, so that others get their turn.
        """
        journal = self._journal
        assert journal is not None
        missing = journal.without_entry(schema.images.c.id).where(schema.images.c.home.is_(None))

        def work(connection: Connection) -> int:
            ids = list(connection.scalars(missing.limit(_BACKFILLED)))
            for entry in rows.load(connection, ids).values():
                self._writer.enter(connection, entry, urgent=False)
            return len(ids)

        total = 0
        while done := await self._database.write(work):
            total += done
        return total

    # Within a transaction

    def _put(self, connection: Connection, images: Sequence[Image], also: Also) -> list[Image]:
        known = rows.load(connection, [image.id for image in images], lock=True)
        kept = []
        for image in images:
            entry = known.get(image.id)
            if entry is None:
                rows.exhume(connection, image.id)
                kept.append(self._writer.add(connection, image))
            elif same(entry.image, image):
                self._writer.follow(entry)
                kept.append(entry.image)
            else:
                kept.append(self._writer.change(connection, entry, image))
        if also is not None:
            also(connection)
        return kept

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)


def _in_seconds(image: Image) -> Image:
    return replace(
        image,
        created_at=image.created_at.replace(microsecond=0),
        updated_at=image.updated_at.replace(microsecond=0),
    )
