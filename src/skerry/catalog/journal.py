"""The journal: the streams that this site writes, and those of other sites that it holds.

What travels and what is refused is decided in `core.feed`; here it is kept, in the transaction of the change
that it is about.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select

from skerry.catalog import streams
from skerry.catalog.database import Database
from skerry.catalog.heads import Heads
from skerry.catalog.offers import Offers, Part
from skerry.core.clock import Clock
from skerry.core.errors import FeedRefused, SkerryError, TooLarge
from skerry.core.feed import digest, follow
from skerry.core.feed.entry import (
    LONGEST,
    Channel,
    Entry,
    Kind,
    Signed,
    Stream,
    object_key,
    sign_entry,
)
from skerry.core.feed.follow import Change, Taken
from skerry.core.feed.journal import Page, Place, Row, Standing
from skerry.core.signing import PublicKey, SigningKey
from skerry.core.write_points import reached

Body = Mapping[str, Any]
Apply = Callable[[Connection, Sequence[Change]], None]
"""Does to this site's own tables what a page says, within the transaction that keeps the page."""


class Journal:
    """All streams of one site's database. Memory knows how far each has come; their entries are on the disk.

    Methods with `connection` run on a worker thread, within a transaction of the caller's; all others on
    the event loop's.
    """

    def __init__(
        self, database: Database, home: str, key: SigningKey, clock: Clock, *, head_lifetime: float = 600.0
    ) -> None:
        """`home` is the name of this site; what it says of its own streams is good for `head_lifetime` s."""
        self.home = home
        self._database = database
        self._key = key
        self._clock = clock
        self._standings: dict[Stream, Standing] = {}
        self._streams: dict[Channel | None, tuple[Stream, ...]] = {}
        self._heads = Heads(key, clock, lifetime=timedelta(seconds=head_lifetime))
        self._offers = Offers(database, self._vouched)
        self._news = {channel: asyncio.Event() for channel in Channel}

    async def load(self) -> None:
        """Read how far each stream has come. Call once, before anything else."""
        self._standings = await self._database.read(streams.load_standings)
        self._streams.clear()

    def own(self, channel: Channel = Channel.RECORDS) -> Stream:
        """The stream of this site."""
        return Stream(self.home, channel)

    def streams(self, channel: Channel | None = None) -> tuple[Stream, ...]:
        """What is held here, and the own records in any case; of one channel or all. In order.

        It is asked for at each poll of a thousand sites, and put together when there is another stream.
        """
        if channel not in self._streams:
            held = self._standings.keys() | {self.own()}
            self._streams[channel] = tuple(sorted(s for s in held if channel in (None, s.channel)))
        return self._streams[channel]

    def standing(self, stream: Stream) -> Standing:
        """How far this site has come with a stream; an own one is vouched for at this moment."""
        return self._vouched(self._standings.get(stream) or self._beginning(stream))

    def news(self, channel: Channel) -> asyncio.Event:
        """Is set when a stream of this channel has changed. Get it before looking, so that nothing is missed;
        a head alone is no news."""
        return self._news[channel]

    def wake(self, channel: Channel) -> None:
        """Let all go on who wait for news, as if there were some."""
        event, self._news[channel] = self._news[channel], asyncio.Event()
        event.set()

    # Writing the own streams

    def write_on(
        self,
        connection: Connection,
        kind: Kind,
        object_id: str,
        body: Body | None,
        *,
        urgent: bool = False,
        channel: Channel = Channel.RECORDS,
    ) -> None:
        """Enter a change of an object of this site's, in the transaction of that change; None: it is no more.

        Raises TooLarge when no other site would take it.
        """
        standing = self._own_on(connection, channel)
        self._follow(self._enter(connection, standing, kind, object_id, body, urgent=urgent))

    async def put(
        self,
        kind: Kind,
        object_id: str,
        body: Body,
        *,
        urgent: bool = False,
        channel: Channel = Channel.RECORDS,
    ) -> None:
        """Enter an object that lives in the journal alone, as sites and placements do."""
        await self._database.write(
            lambda connection: self.write_on(
                connection, kind, object_id, body, urgent=urgent, channel=channel
            )
        )

    async def remove(
        self, kind: Kind, object_id: str, *, urgent: bool = True, channel: Channel = Channel.RECORDS
    ) -> bool:
        """Enter that such an object is no more; False when there was none."""
        stream = self.own(channel)
        key = object_key(kind, object_id)

        def work(connection: Connection) -> bool:
            row = streams.held(connection, stream, [key]).get(key)
            if row is None or not row.leaf:
                return False
            self.write_on(connection, kind, object_id, None, urgent=urgent, channel=channel)
            return True

        return await self._database.write(work, makes_room=True)

    async def objects(self, kind: Kind, stream: Stream | None = None) -> dict[str, Body]:
        """The documents of all objects of a kind in a stream, this site's own records by default, by id."""
        return await self._database.read(lambda connection: self.objects_on(connection, kind, stream))

    def objects_on(self, connection: Connection, kind: Kind, stream: Stream | None = None) -> dict[str, Body]:
        """`objects` within a transaction that runs already."""
        return streams.objects(streams.living(connection, stream or self.own(), kind))

    async def about(self, kind: Kind, object_id: str, channel: Channel) -> dict[str, Body]:
        """What the streams of a channel say of one object, by their homes."""

        def work(connection: Connection) -> dict[str, Body]:
            found = streams.about(connection, kind, object_id)
            return {stream.home: body for stream, body in found if stream.channel is channel}

        return await self._database.read(work)

    def without_entry(self, object_id: ColumnElement[str]) -> Select[Any]:
        """Those of the images with the ids of a column that the own records do not have."""
        return streams.without_entry(self.own(), Kind.IMAGE, object_id)

    async def begin_anew(self) -> int:
        """Begin a new epoch of the own streams, for a home that was restored from a backup.

        What followers have that this site has not is forgotten by them. Returns the new epoch, which is
        higher than any before, whatever the backup knows of them.
        """

        def work(connection: Connection) -> int:
            known = {channel: self._own_on(connection, channel) for channel in Channel}
            epoch = max(
                int(self._clock.now().timestamp()), *(standing.epoch + 1 for standing in known.values())
            )
            for standing in known.values():
                self._begin(connection, standing.stream, epoch)
            return epoch

        return await self._database.write(work)

    async def prune(self, *, keep: float) -> None:
        """Forget own tombstones older than `keep` seconds, and those of others that their homes have."""
        oldest = self._clock.now() - timedelta(seconds=keep)

        def work(connection: Connection) -> None:
            for stream, standing in streams.load_standings(connection).items():
                if stream.home == self.home:
                    horizon = _last_before(oldest, streams.tombstones(connection, stream))
                else:
                    horizon = standing.head.head().horizon if standing.head else 0
                if standing.swept != standing.round:
                    continue
                streams.drop_tombstones(connection, stream, horizon)
                if horizon > standing.horizon:
                    pruned = replace(standing, horizon=horizon)
                    streams.save_standing(connection, pruned)
                    self._follow(pruned, silent=True)

        await self._database.write(work, makes_room=True)

    # Giving and taking

    async def page(self, stream: Stream, place: Place) -> Part:
        """What comes next of a stream for somebody at `place`; `Part.page` and `Part.encode` say how it is
        given to those who may not read all of it."""
        return await self._offers.part(self.standing(stream), place)

    async def take(self, page: Page, keys: Collection[PublicKey], apply: Apply) -> Taken:
        """Keep a page of another site's stream, and what it changes, in one transaction.

        `keys` are those of its home. Raises FeedRefused when it is not taken: nothing has changed then but
        that the standing says why.
        """
        if page.stream.home == self.home:
            raise FeedRefused(f"{page.stream} is written here.", trouble="forged")

        def work(connection: Connection) -> Taken:
            taken = self._take_on(connection, page, tuple(keys))
            apply(connection, taken.changes)
            reached("feed.applied")
            self._follow(taken.standing, silent=not taken.rows and not taken.sweep)
            return taken

        try:
            return await self._database.write(work)
        except FeedRefused as why:
            with suppress(SkerryError):
                await self._remember(page.stream, why)
            raise

    async def drop(self, stream: Stream) -> None:
        """Hold nothing of a stream any more: its site has left. No record is touched."""

        def work(connection: Connection) -> None:
            streams.drop(connection, stream)
            self._database.when_landed(lambda: self._forget(stream))

        await self._database.write(work, makes_room=True)

    # Within a transaction

    def _take_on(self, connection: Connection, page: Page, keys: tuple[PublicKey, ...]) -> Taken:
        stream = page.stream
        standing = streams.load_standing(connection, stream) or Standing(stream)
        taken = follow.take(standing, page, streams.held(connection, stream, _keys_of(page)), keys)
        streams.save(connection, stream, taken.rows)
        if taken.sweep:
            follow.check_sweep(taken, streams.newest_unseen(connection, taken.standing))
            gone = streams.drop_unseen(connection, taken.standing)
            forgotten = [Change(kind, object_id, None) for kind, object_id in gone]
            taken = replace(taken, changes=(*taken.changes, *forgotten))
        if taken.standing != standing:
            streams.save_standing(connection, taken.standing)
        return taken

    def _own_on(self, connection: Connection, channel: Channel) -> Standing:
        stream = self.own(channel)
        return streams.load_standing(connection, stream) or self._beginning(stream)

    def _enter(
        self,
        connection: Connection,
        standing: Standing,
        kind: Kind,
        object_id: str,
        body: Body | None,
        *,
        urgent: bool,
    ) -> Standing:
        now = self._clock.now()
        entry = Entry(
            standing.stream, standing.epoch, standing.revision + 1, kind, object_id, body, now, urgent
        )
        signed = sign_entry(entry, self._key)
        if len(signed.text) > LONGEST:
            raise TooLarge(
                f"The record of {kind} {object_id} has {len(signed.text)} characters, too many to travel.",
                hint=f"{LONGEST} is the most; shorten its properties.",
            )
        row = follow.row_of(entry, signed, standing.round)
        old = streams.held(connection, standing.stream, [row.key]).get(row.key)
        summed = standing.digest if old is None else digest.remove(standing.digest, old.leaf)
        streams.save(connection, standing.stream, [row])
        written = replace(
            standing,
            revision=entry.revision,
            floor=entry.revision,
            digest=digest.add(summed, row.leaf),
        )
        streams.save_standing(connection, written)
        return written

    def _begin(self, connection: Connection, stream: Stream, epoch: int) -> None:
        entries = list(streams.living(connection, stream))
        streams.drop(connection, stream)
        standing = replace(self._beginning(stream), epoch=epoch)
        streams.save_standing(connection, standing)
        for entry in entries:
            standing = self._enter(connection, standing, entry.kind, entry.id, entry.body, urgent=False)
        self._follow(standing)

    async def _remember(self, stream: Stream, why: FeedRefused) -> None:
        """Write down why nothing is taken any more."""

        def work(connection: Connection) -> None:
            known = streams.load_standing(connection, stream) or Standing(stream)
            refused = follow.refused(known, why)
            if refused != known:
                streams.save_standing(connection, refused)
                self._follow(refused, silent=True)

        await self._database.write(work)

    def _follow(self, standing: Standing, *, silent: bool = False) -> None:
        """Have memory follow once the transaction has landed; `silent`: nobody waits for this."""

        def follow_up() -> None:
            if standing.stream not in self._standings:
                self._streams.clear()
            self._standings[standing.stream] = standing
            self._changed(standing.stream, silent=silent)

        self._database.when_landed(follow_up)

    # In memory

    def _forget(self, stream: Stream) -> None:
        self._standings.pop(stream, None)
        self._streams.clear()
        self._changed(stream, silent=True)

    def _changed(self, stream: Stream, *, silent: bool) -> None:
        self._offers.forget(stream)
        if not silent:
            self.wake(stream.channel)

    def _beginning(self, stream: Stream) -> Standing:
        """Where a stream stands that nothing is known of; the own ones begin so."""
        if stream.home != self.home:
            return Standing(stream)
        return Standing(stream, epoch=1, round=1, swept=1)

    def _vouched(self, standing: Standing) -> Standing:
        """The standing, with a head of this moment if it is that of an own stream; on any thread."""
        return self._heads.vouch(standing) if standing.stream.home == self.home else standing


def _keys_of(page: Page) -> set[str]:
    """The objects that a page is about, without believing anything that it says of them."""
    keys = set()
    for item in (*page.urgent, *page.items):
        if isinstance(item, Signed):
            with suppress(ValueError):
                keys.add(item.entry().key)
        else:
            keys.add(item.key)
    return keys


def _last_before(oldest: datetime, tombstones: Iterator[Row]) -> int:
    """The revision of the last tombstone from before a time; 0 when there is none."""
    revision = 0
    for row in tombstones:
        if row.signed is None or row.signed.entry().at >= oldest:
            break
        revision = row.revision
    return revision
