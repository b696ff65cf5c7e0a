"""A home and its followers in memory: what the journal of a site does, without a database."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from skerry.core.errors import FeedRefused
from skerry.core.feed import digest
from skerry.core.feed.entry import Entry, Head, Kind, Stream, sign_entry, sign_head
from skerry.core.feed.follow import Change, Taken, check_sweep, refused, row_of, take
from skerry.core.feed.journal import Page, Place, Row, Standing
from skerry.core.feed.offer import MayRead, page, span
from skerry.core.signing import SigningKey

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(minutes=10)


@dataclass
class Holder:
    """Whoever holds a stream, and can give it to others."""

    standing: Standing
    rows: dict[str, Row] = field(default_factory=dict)

    def give(self, place: Place, *, most: int = 500, may_read: MayRead = lambda row: True) -> Page:
        wanted = span(self.standing, place)
        behind = sorted(
            (
                row
                for row in self.rows.values()
                if row.revision > wanted.after and row.round == self.standing.round
            ),
            key=lambda row: row.revision,
        )
        ahead = [row for row in behind[most + 1 :] if row.urgent]
        return page(self.standing, wanted, behind[: most + 1], ahead, most=most, may_read=may_read)

    def documents(self) -> dict[str, Any]:
        """The objects that live, by id, as far as they may be read here."""
        entries = [row.signed.entry() for row in self.rows.values() if row.signed and row.leaf]
        return {entry.id: entry.body for entry in entries}


class Home(Holder):
    """Writes the stream."""

    def __init__(self, name: str = "centre", key: SigningKey | None = None) -> None:
        super().__init__(Standing(Stream(name), epoch=1, round=1, swept=1))
        self.key = key or SigningKey.generate()
        self.now = NOW
        self._vouch()

    def write(self, object_id: str, body: dict[str, Any] | None, *, urgent: bool = False) -> None:
        stand = self.standing
        entry = Entry(
            stand.stream, stand.epoch, stand.revision + 1, Kind.IMAGE, object_id, body, self.now, urgent
        )
        row = row_of(entry, sign_entry(entry, self.key), stand.round)
        old = self.rows.get(row.key)
        summed = digest.remove(stand.digest, old.leaf) if old else stand.digest
        self.standing = replace(stand, revision=entry.revision, digest=digest.add(summed, row.leaf))
        self.rows[row.key] = row
        self._vouch()

    def prune(self) -> None:
        """Forget all tombstones."""
        self.rows = {key: row for key, row in self.rows.items() if row.leaf}
        self.standing = replace(self.standing, horizon=self.standing.revision)
        self._vouch()

    def begin_anew(self) -> None:
        """A new epoch: every object is written again."""
        documents = self.documents()
        self.rows = {}
        self.standing = Standing(self.standing.stream, epoch=self.standing.epoch + 1, round=1, swept=1)
        self._vouch()
        for object_id, body in documents.items():
            self.write(object_id, body)

    def _vouch(self) -> None:
        stand = self.standing
        head = Head(
            stand.stream,
            stand.epoch,
            stand.revision,
            stand.digest,
            self.now,
            self.now + LIFETIME,
            stand.horizon,
        )
        self.standing = replace(
            stand,
            floor=stand.revision,
            head=sign_head(head, self.key),
            as_of=head.at,
            expires=head.expires,
        )


class Follower(Holder):
    """Takes the stream from a home, or from another follower."""

    def __init__(self, home: Home) -> None:
        super().__init__(Standing(home.standing.stream))
        self.keys = (home.key.public,)
        self.changes: list[Change] = []

    @property
    def place(self) -> Place:
        return self.standing.place

    def take(self, given: Page) -> None:
        """Raises FeedRefused, and remembers why."""
        try:
            taken = take(self.standing, given, self.rows, self.keys)
            if taken.sweep:
                check_sweep(taken, self._newest_unseen(taken))
        except FeedRefused as why:
            self.standing = refused(self.standing, why)
            raise
        self.rows |= {row.key: row for row in taken.rows}
        self.changes += taken.changes
        if taken.sweep:
            self.rows = {key: row for key, row in self.rows.items() if row.round == taken.standing.round}
        self.standing = taken.standing

    def _newest_unseen(self, taken: Taken) -> int | None:
        seen = {row.key for row in taken.rows}
        stand = taken.standing
        unseen = (
            row.revision
            for row in self.rows.values()
            if row.round != stand.round and row.epoch == stand.epoch and row.leaf and row.key not in seen
        )
        return max(unseen, default=None)

    def follow(self, source: Holder, **kind: Any) -> None:
        """All that `source` has."""
        for given in _pages(self, source, **kind):
            self.take(given)


def _pages(follower: Follower, source: Holder, **kind: Any) -> Iterator[Page]:
    while True:
        given = source.give(follower.place, **kind)
        yield given
        if not given.more:
            return
