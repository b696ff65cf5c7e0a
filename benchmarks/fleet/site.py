"""A site that follows, and keeps what it holds in memory."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast

from sqlalchemy import Connection

from skerry.catalog.heads import Heads
from skerry.catalog.journal import Apply
from skerry.core.clock import Clock
from skerry.core.errors import NotFound
from skerry.core.feed import digest, follow, lines
from skerry.core.feed.entry import Channel, Entry, Kind, Signed, Stream, sign_entry
from skerry.core.feed.follow import Change, Taken
from skerry.core.feed.journal import Page, Place, Row, Standing
from skerry.core.feed.offer import MayRead, page, span
from skerry.core.signing import PublicKey, SigningKey

CHANGE = "change "
"""What the name of a changed image begins with; then comes when it was changed, by the machine's clock."""

_LIFETIME = timedelta(minutes=10)

_WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
"""When the own entry was written: it is the same each time that a site starts."""


@dataclass(frozen=True)
class Snapshot:
    """What all sites of a process hold of the centre's records at the start."""

    standing: Standing
    rows: Mapping[str, Row]


@dataclass(frozen=True)
class Encoded:
    """A page of the own stream, as the follower sends it."""

    encoded: bytes


class MemoryJournal:
    """What `sync.follower` asks of `catalog.journal`. The own stream of copies has one entry."""

    def __init__(self, name: str, key: SigningKey, clock: Clock, held: Snapshot) -> None:
        self._heads = Heads(key, clock, lifetime=_LIFETIME)
        self._base = held.rows
        self._rows: dict[str, Row] = {}
        self._own = Stream(name, Channel.COPIES)
        entry = Entry(self._own, 1, 1, Kind.COPY, name, {"site": name}, _WRITTEN)
        self._row = follow.row_of(entry, sign_entry(entry, key), 1)
        said = digest.add(digest.EMPTY, self._row.leaf)
        own = Standing(self._own, epoch=1, revision=1, digest=said, round=1, floor=1, swept=1)
        self._standings = {self._own: own, held.standing.stream: held.standing}
        self._news = {channel: asyncio.Event() for channel in Channel}

    def streams(self, channel: Channel | None = None) -> tuple[Stream, ...]:
        return tuple(stream for stream in self._standings if channel in (None, stream.channel))

    def standing(self, stream: Stream) -> Standing:
        known = self._standings[stream]
        return self._heads.vouch(known) if stream == self._own else known

    def news(self, channel: Channel) -> asyncio.Event:
        return self._news[channel]

    async def page(self, stream: Stream, place: Place) -> Encoded:
        standing = self.standing(stream)
        rows = [self._row] if place.revision < 1 else []
        given = page(standing, span(standing, place), rows, (), most=lines.PAGE, may_read=lambda row: True)
        return Encoded(lines.encode(given))

    async def take(self, given: Page, keys: Collection[PublicKey], apply: Apply) -> Taken:
        keys_of = (item.entry().key if isinstance(item, Signed) else item.key for item in given.items)
        known = {key: row for key in keys_of if (row := self._rows.get(key) or self._base.get(key))}
        taken = follow.take(self._standings[given.stream], given, known, tuple(keys))
        self._rows |= {row.key: row for row in taken.rows}
        self._standings[given.stream] = taken.standing
        apply(cast(Connection, None), taken.changes)
        return taken


class Eyes:
    """In place of the records: sees which change has come, and when."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        """(changed at, seen at), by the machine's clock that never runs backwards."""

    def take_on(self, connection: Connection, home: str, changes: Sequence[Change]) -> None:
        now = time.monotonic()
        for change in changes:
            body = change.entry.body if change.entry is not None and change.kind is Kind.IMAGE else None
            name = str(body["image"].get("name") or "") if body is not None else ""
            if name.startswith(CHANGE):
                self.seen.append((float(name.removeprefix(CHANGE)), now))

    async def get(self, image_id: str) -> None:
        raise NotFound("Nothing is kept here.")


class KnownKey(PublicKey):
    """A key that checks each signature once in this process, where a thousand sites would, each on its own
    machine."""

    def verifies(self, message: bytes, signature: bytes) -> bool:
        return _verifies(self.raw, message, signature)


@lru_cache(maxsize=4096)
def _verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    return PublicKey(key).verifies(message, signature)


@dataclass(frozen=True)
class Child:
    """What a site knows of the tree: itself and the centre."""

    name: str
    centre: Mapping[str, tuple[PublicKey, ...]]

    def keys(self, home: str) -> tuple[PublicKey, ...]:
        return self.centre.get(home, ())

    def subtree(self, site: str) -> frozenset[str]:
        return frozenset({site})

    def may_read(self, site: str, stream: Stream) -> MayRead | None:
        return None

    async def learn(self, stream: Stream, changes: Sequence[Change]) -> None:
        pass


def take_snapshot(held: Snapshot, given: Page, keys: tuple[PublicKey, ...]) -> Snapshot:
    """The snapshot with one page more."""
    taken = follow.take(held.standing, given, held.rows, keys)
    return replace(held, standing=taken.standing, rows={**held.rows, **{row.key: row for row in taken.rows}})
