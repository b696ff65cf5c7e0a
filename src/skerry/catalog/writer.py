"""Changes of single records within a transaction: their rows, their entries in the journal, and memory."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from skerry.catalog import rows
from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.memory import Memory
from skerry.catalog.rows import Entry
from skerry.core.clock import Clock
from skerry.core.feed.documents import image_from_document, image_to_document
from skerry.core.feed.entry import Kind
from skerry.core.feed.follow import Change
from skerry.core.image import Image, Member, Status
from skerry.core.write_points import reached

log = logging.getLogger(__name__)

_AT_ONCE = 500
"""Records that are looked at in one statement."""


class Writer:
    """What every change of a record comes to; memory follows once the transaction has landed.

    With a journal, a change of an image whose home is this site is entered there as well.
    """

    def __init__(self, database: Database, memory: Memory, journal: Journal | None, clock: Clock) -> None:
        self._database = database
        self._memory = memory
        self._journal = journal
        self._clock = clock

    def add(self, connection: Connection, image: Image) -> Image:
        """A new record, without members."""
        new = replace(image, revision=rows.next_revision(connection))
        rows.add(connection, new)
        self.follow(Entry(new, ()))
        self.enter(connection, Entry(new, ()), urgent=False)
        return new

    def change(self, connection: Connection, entry: Entry, new: Image) -> Image:
        """Another state of a record."""
        new = replace(new, id=entry.image.id, revision=rows.next_revision(connection))
        rows.replace(connection, entry.image, new)
        self.follow(Entry(new, entry.members))
        self.enter(connection, Entry(new, entry.members), urgent=_takes_away(entry.image, new))
        return new

    def share(self, connection: Connection, entry: Entry, members: tuple[Member, ...]) -> None:
        """Other members."""
        image = replace(entry.image, revision=rows.next_revision(connection))
        rows.stamp(connection, image.id, image.revision)
        rows.set_members(connection, image.id, members)
        self.follow(Entry(image, members))
        self.enter(connection, Entry(image, members), urgent=True)

    def bury(self, connection: Connection, image: Image) -> None:
        """A tombstone in place of a record."""
        revision = rows.next_revision(connection)
        rows.bury(connection, image.id, revision, self._clock.now())
        self._database.when_landed(lambda: self._memory.forget(image.id, revision))
        if self._journal is not None and image.home is None:
            self._journal.write_on(connection, Kind.IMAGE, image.id, None, urgent=True)
            reached("journal.entered")

    def enter(self, connection: Connection, entry: Entry, *, urgent: bool) -> None:
        """The state of an own record in the journal."""
        if self._journal is not None and entry.image.home is None:
            body = image_to_document(entry.image, entry.members)
            self._journal.write_on(connection, Kind.IMAGE, entry.image.id, body, urgent=urgent)
            reached("journal.entered")

    def follow(self, entry: Entry) -> None:
        """Nothing but memory: the database has this entry already."""
        self._database.when_landed(lambda: self._memory.follow(entry))

    def take(self, connection: Connection, home: str, changes: Sequence[Change]) -> None:
        """Keep what another home says of its images, in the transaction that keeps its page of the feed.

        Each record has one home: what is said of an image of another one is passed over, and so is what makes
        no sense.
        """
        told = [change for change in changes if change.kind is Kind.IMAGE]
        for start in range(0, len(told), _AT_ONCE):
            some = told[start : start + _AT_ONCE]
            known = rows.load(connection, [change.id for change in some], lock=True)
            for change in some:
                entry = known.get(change.id)
                if entry is not None and entry.image.home != home:
                    log.warning("image %s: %s is not its home, what it says is passed over", change.id, home)
                elif change.entry is not None and change.entry.body is not None:
                    self._learn(connection, entry, home, change, change.entry.body)
                elif entry is not None:
                    self.bury(connection, entry.image)

    def _learn(
        self,
        connection: Connection,
        entry: Entry | None,
        home: str,
        change: Change,
        body: Mapping[str, Any],
    ) -> None:
        try:
            image, members = image_from_document(body)
            if image.id != change.id:
                raise ValueError(f"it is about {image.id}")
        except ValueError as error:
            log.warning("image %s: what its home %s says makes no sense: %s", change.id, home, error)
            return
        image = replace(image, home=home)
        if entry is None:
            rows.exhume(connection, image.id)
            entry = Entry(self.add(connection, image), ())
        elif not same(entry.image, image):
            entry = Entry(self.change(connection, entry, image), entry.members)
        if entry.members != members:
            self.share(connection, entry, members)


def _takes_away(old: Image, new: Image) -> bool:
    """Whether somebody can use the image no more who could before."""
    deactivated = new.status is Status.DEACTIVATED and old.status is not Status.DEACTIVATED
    return deactivated or new.visibility is not old.visibility or new.owner != old.owner


def same(known: Image, image: Image) -> bool:
    """Whether an image says nothing new."""
    return known == replace(image, revision=known.revision)
