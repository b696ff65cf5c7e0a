"""The journal of a site, as `catalog.journal` keeps it, over tables in memory. The rules are `core.feed`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from skerry.catalog.heads import Heads
from skerry.core.errors import FeedRefused, NoSpace
from skerry.core.feed import digest, follow
from skerry.core.feed.entry import Channel, Entry, Kind, Stream, sign_entry
from skerry.core.feed.follow import Change, Taken
from skerry.core.feed.journal import Page, Place, Row, Standing
from skerry.core.feed.offer import MayRead, page, span
from skerry.core.signing import PublicKey
from tests.sim.disk import Database, Ledger, Record
from tests.sim.images import entry_of, head_of, image_of

if TYPE_CHECKING:
    from tests.sim.site import Site


@dataclass(frozen=True, slots=True)
class Given:
    """A page on its way, and what its giver has that is urgent: (key, revision) behind where the taker stood.

    Only who is honest promises anything, and only that is asserted.
    """

    page: Page
    urgent: tuple[tuple[str, int], ...] = ()


class Journal:
    """All streams of one site."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._heads = Heads(
            site.key, site.clock, lifetime=timedelta(seconds=site.world.settings.head_lifetime)
        )
        self._streams: list[Stream] = [self.own()]
        self._counted = 0
        self._last_vouched: dict[Stream, tuple[Standing, Standing]] = {}

    @property
    def _database(self) -> Database:
        return self._site.disk.database

    def own(self, channel: Channel = Channel.RECORDS) -> Stream:
        """The stream of this site."""
        return Stream(self._site.name, channel)

    def streams(self) -> Sequence[Stream]:
        """What is held here."""
        if self._counted != len(self._database.ledgers):  # none ever goes
            self._counted = len(self._database.ledgers)
            self._streams = sorted(self._database.ledgers.keys() | {self.own()})
        return self._streams

    def standing(self, stream: Stream) -> Standing:
        """How far this site has come; an own stream is vouched for at this moment."""
        return self._vouched(self._ledger(self._database, stream).standing)

    def version(self, stream: Stream) -> object:
        """Two equal answers mean that nothing of the stream has changed in between."""
        return self._database.ledgers.get(stream)

    def is_empty(self, stream: Stream) -> bool:
        """Whether nothing was ever written in it."""
        standing = self._ledger(self._database, stream).standing
        return standing.epoch <= 1 and standing.revision == 0

    def rows(self, stream: Stream) -> Mapping[str, Row]:
        """What is held of a stream."""
        return self._ledger(self._database, stream).rows

    def objects(self, kind: Kind, stream: Stream) -> dict[str, Mapping[str, Any]]:
        """The documents of what lives and may be read here."""
        found = {}
        for row in self.rows(stream).values():
            if row.kind is kind and row.leaf and row.signed is not None:
                entry = entry_of(row.signed)
                assert entry.body is not None
                found[entry.id] = entry.body
        return found

    # Writing

    def write_on(
        self,
        database: Database,
        kind: Kind,
        object_id: str,
        body: Mapping[str, Any] | None,
        *,
        urgent: bool = False,
        channel: Channel = Channel.RECORDS,
    ) -> None:
        """Enter a change in the transaction of the change."""
        stream = self.own(channel)
        ledger = self._ledger(database, stream)
        database.ledgers[stream] = self._enter(ledger, kind, object_id, body, urgent=urgent)
        self._site.reached("journal.entered")

    def begin_anew(self) -> int:
        """A new epoch of the own streams; returns it."""
        with self._site.transaction() as database:
            known = {self.own(channel): self._ledger(database, self.own(channel)) for channel in Channel}
            epoch = max(
                int(self._site.clock.now().timestamp()),
                *(ledger.standing.epoch + 1 for ledger in known.values()),
            )
            for stream, ledger in known.items():
                database.ledgers[stream] = self._begun(stream, ledger, epoch)
        self._site.wake()
        return epoch

    def _begun(self, stream: Stream, ledger: Ledger, epoch: int) -> Ledger:
        self._site.world.truth.begins(stream, epoch)
        begun = Ledger(replace(self._beginning(stream), epoch=epoch))
        for row in sorted(ledger.rows.values(), key=lambda row: row.revision):
            if row.leaf:
                assert row.signed is not None
                entry = entry_of(row.signed)
                begun = self._enter(begun, entry.kind, entry.id, entry.body, urgent=False)
        return begun

    def _enter(
        self, ledger: Ledger, kind: Kind, object_id: str, body: Mapping[str, Any] | None, *, urgent: bool
    ) -> Ledger:
        standing = ledger.standing
        now = self._site.clock.now()
        entry = Entry(
            standing.stream, standing.epoch, standing.revision + 1, kind, object_id, body, now, urgent
        )
        row = follow.row_of(entry, sign_entry(entry, self._site.key), standing.round)
        self._site.world.truth.signs(row, standing.stream)
        old = ledger.rows.get(row.key)
        summed = standing.digest if old is None else digest.remove(standing.digest, old.leaf)
        written = replace(
            standing,
            revision=entry.revision,
            floor=entry.revision,
            digest=digest.add(summed, row.leaf),
        )
        return Ledger(written, {**ledger.rows, row.key: row})

    def prune(self, keep: float) -> None:
        """Forget own tombstones older than `keep` seconds, and those of others that their homes have."""
        oldest = self._site.clock.now() - timedelta(seconds=keep)
        with self._site.transaction(makes_room=True) as database:
            for stream, ledger in sorted(database.ledgers.items()):
                standing = ledger.standing
                if standing.swept != standing.round:
                    continue
                if stream.home == self._site.name:
                    horizon = _last_before(oldest, ledger)
                else:
                    horizon = head_of(standing.head).horizon if standing.head else 0
                rows = {key: row for key, row in ledger.rows.items() if row.leaf or row.revision > horizon}
                horizon = max(horizon, standing.horizon)
                if horizon != standing.horizon or len(rows) != len(ledger.rows):
                    database.ledgers[stream] = Ledger(replace(standing, horizon=horizon), rows)

    # Giving and taking

    def page(self, stream: Stream, place: Place, may_read: MayRead) -> Given:
        """What comes next of a stream for somebody at `place`."""
        most = self._site.world.settings.page
        standing = self.standing(stream)
        wanted = span(standing, place)
        behind = sorted(
            (
                row
                for row in self.rows(stream).values()
                if row.revision > wanted.after and row.round == standing.round
            ),
            key=lambda row: row.revision,
        )
        ahead = [row for row in behind[most:] if row.urgent]
        given = page(standing, wanted, behind[: most + 1], ahead, most=most, may_read=may_read)
        urgent = tuple(
            (row.key, row.revision)
            for row in behind
            if row.urgent and row.signed is not None and may_read(row)
        )
        return Given(given, urgent)

    def take(self, given: Given, keys: tuple[PublicKey, ...]) -> Taken:
        """Keep a page, and what it changes, in one transaction. Raises FeedRefused and NoSpace."""
        stream = given.page.stream
        if stream.home == self._site.name:
            raise FeedRefused(f"{stream} is written here.", trouble="forged")
        try:
            with self._site.transaction() as database:
                before = self.rows(stream)
                taken, forgotten = self._take_on(database, given.page, keys)
                self._apply(database, stream, taken)
                self._site.reached("feed.applied")
        except FeedRefused as why:
            self._remember(stream, why)
            raise
        self._site.world.truth.takes(self._site.name, stream, before, taken, forgotten)
        self._site.reached("feed.taken")
        if taken.rows or taken.sweep:
            self._site.wake()
        self._check_urgent(given, taken)
        return taken

    def _take_on(
        self, database: Database, given: Page, keys: tuple[PublicKey, ...]
    ) -> tuple[Taken, list[Row]]:
        stream = given.stream
        ledger = self._ledger(database, stream)
        taken = follow.take(ledger.standing, given, ledger.rows, keys)
        rows = {**ledger.rows, **{row.key: row for row in taken.rows}}
        forgotten: list[Row] = []
        if taken.sweep:
            unseen = [row for row in rows.values() if row.round != taken.standing.round]
            living = [row.revision for row in unseen if row.epoch == taken.standing.epoch and row.leaf]
            follow.check_sweep(taken, max(living, default=None))
            rows = {key: row for key, row in rows.items() if row.round == taken.standing.round}
            forgotten = [row for row in unseen if row.leaf]
            gone = [Change(row.kind, row.id, None) for row in forgotten if row.kind and row.id]
            taken = replace(taken, changes=(*taken.changes, *gone))
        if taken.standing != ledger.standing:
            database.ledgers[stream] = Ledger(taken.standing, rows)
        return taken, forgotten

    def _apply(self, database: Database, stream: Stream, taken: Taken) -> None:
        """What a page does to the catalogue, as `catalog.writer.Writer.take` does it."""
        if stream.channel is not Channel.RECORDS:
            return
        signed = {row.id: row.signed for row in taken.rows if row.kind is Kind.IMAGE}
        for change in taken.changes:
            known = database.records.get(change.id)
            if change.kind is not Kind.IMAGE or (known is not None and known.home != stream.home):
                continue
            if change.entry is not None and change.entry.body is not None:
                text = signed[change.id]
                image = image_of(text) if text is not None else None
                assert image is not None, "a change says what its row does not"
                database.records[change.id] = Record(stream.home, change.entry.body, image)
            else:
                database.records.pop(change.id, None)

    def _remember(self, stream: Stream, why: FeedRefused) -> None:
        try:
            with self._site.transaction() as database:
                ledger = self._ledger(database, stream)
                database.ledgers[stream] = Ledger(follow.refused(ledger.standing, why), ledger.rows)
        except NoSpace:
            pass

    def _check_urgent(self, given: Given, taken: Taken) -> None:
        """What takes something away has come with the first page, however much was to come before it."""
        if taken.standing.epoch != given.page.epoch or not (taken.rows or taken.sweep):
            return
        rows = self.rows(given.page.stream)
        for key, revision in given.urgent:
            row = rows.get(key)
            assert row is not None, f"{self._site.name}: an urgent entry did not come with the first page"
            assert row.revision >= revision, f"{self._site.name}: an urgent entry did not come first"

    def _ledger(self, database: Database, stream: Stream) -> Ledger:
        return database.ledgers.get(stream) or Ledger(self._beginning(stream))

    def _beginning(self, stream: Stream) -> Standing:
        if stream.home != self._site.name:
            return Standing(stream)
        return Standing(stream, epoch=1, round=1, swept=1)

    def _vouched(self, standing: Standing) -> Standing:
        if standing.stream.home != self._site.name:
            return standing
        asked, vouched = self._last_vouched.get(standing.stream, (None, None))
        now = self._site.clock.now()
        if vouched is None or asked is not standing or not _fresh(vouched, now):
            vouched = self._heads.vouch(standing)
            self._last_vouched[standing.stream] = standing, vouched
        return vouched


def _fresh(vouched: Standing, now: datetime) -> bool:
    """Whether what was vouched for last would be said again: `Heads` would sign nothing else."""
    assert vouched.as_of is not None
    assert vouched.expires is not None
    return vouched.as_of <= now < vouched.as_of + (vouched.expires - vouched.as_of) / 2


def _last_before(oldest: datetime, ledger: Ledger) -> int:
    """The revision up to which all own tombstones are older than a time."""
    last = 0
    for row in sorted(ledger.rows.values(), key=lambda row: row.revision):
        if not row.leaf and row.signed is not None:
            if entry_of(row.signed).at >= oldest:
                break
            last = row.revision
    return last
