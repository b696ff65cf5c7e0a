"""Parts of streams on their way to those who follow: read and written down once for all who stand alike."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from sqlalchemy import Connection

from skerry.catalog import streams
from skerry.catalog.database import Database
from skerry.core.errors import Busy
from skerry.core.feed import lines
from skerry.core.feed.entry import Signed, Stream
from skerry.core.feed.journal import Page, Place, Row, Standing
from skerry.core.feed.offer import MayRead, Span, page, span

_LONGEST = 4 << 20
"""Characters of entries in one page, but for an entry that is longer alone."""

_HELD = 32 << 20
"""Bytes of pages that are kept."""


_IN_LINE = 256
"""Parts that are read or wait for it; who asks for one more is told to come back."""

_COME_BACK = 5.0
"""Seconds, on average, until they do."""


def come_back() -> Busy:
    """What is said to a site when there is too much to do: each is given another time."""
    return Busy(
        "Too many sites ask at the same time.",
        hint="Each comes back by itself.",
        retry_after=random.uniform(1.0, 2 * _COME_BACK),
    )


@dataclass(frozen=True, slots=True)
class Part:
    """What comes next for all who stand at one place of a stream; `encoded` hides nothing of it."""

    standing: Standing
    span: Span
    rows: tuple[Row, ...]
    ahead: tuple[Row, ...]
    most: int
    encoded: bytes = field(repr=False)

    @property
    def more(self) -> bool:
        """Whether there is more behind it."""
        return len(self.rows) > self.most

    def page(self, may_read: MayRead) -> Page:
        """The page for somebody who may not read all of it."""
        return page(self.standing, self.span, self.rows, self.ahead, most=self.most, may_read=may_read)

    def encode(self, may_read: MayRead) -> bytes:
        """The lines of that page."""
        if all(may_read(row) for row in (*self.rows[: self.most], *self.ahead) if row.signed is not None):
            return self.encoded
        return lines.encode(self.page(may_read))


class Offers:
    """Parts of streams, each read once for all who ask for it until the stream changes.

    To be used on the event loop's thread.
    """

    def __init__(self, database: Database, vouch: Callable[[Standing], Standing]) -> None:
        """`vouch` puts a head of this moment to the standing of an own stream; called on any thread."""
        self._database = database
        self._vouch = vouch
        self._parts: dict[Stream, dict[tuple[Place, Signed | None], asyncio.Task[Part]]] = {}
        self._held = 0
        self._reading = 0

    async def part(self, standing: Standing, place: Place) -> Part:
        """What somebody at `place` is given; `standing` is where the stream is known to stand.

        Raises Busy rather than having too many different parts wait to be read.
        """
        parts = self._parts.setdefault(standing.stream, {})
        key = (place, standing.head)
        task = parts.get(key)
        if task is None:
            if self._reading >= _IN_LINE:
                raise come_back()
            self._reading += 1
            task = parts[key] = asyncio.ensure_future(self._read(standing, place))
            task.add_done_callback(lambda done: self._keep(parts, key, done))
        return await asyncio.shield(task)

    def forget(self, stream: Stream) -> None:
        """The stream has changed."""
        self._parts.pop(stream, None)

    async def _read(self, standing: Standing, place: Place) -> Part:
        def work(connection: Connection) -> Part:
            known = streams.load_standing(connection, standing.stream) or standing
            return _part(connection, self._vouch(known), place)

        return await self._database.read(work)

    def _keep(
        self,
        parts: dict[tuple[Place, Signed | None], asyncio.Task[Part]],
        key: tuple[Place, Signed | None],
        done: asyncio.Task[Part],
    ) -> None:
        self._reading -= 1
        if done.cancelled() or done.exception() is not None:
            parts.pop(key, None)
            return
        self._held += len(done.result().encoded)
        if self._held > _HELD:
            self._parts.clear()
            self._held = 0


def _part(connection: Connection, standing: Standing, place: Place) -> Part:
    wanted = span(standing, place)
    rows: list[Row] = []
    most = length = 0
    for row in streams.after(connection, standing, wanted.after, lines.PAGE + 1):
        rows.append(row)
        length += len(row.signed.text) if row.signed is not None else 0
        if most == lines.PAGE or (most and length > _LONGEST):
            break
        most += 1
    ahead: tuple[Row, ...] = ()
    if len(rows) > most:
        ahead = tuple(_short(streams.urgent_after(connection, standing, rows[-1].revision - 1, lines.PAGE)))
    shown = page(standing, wanted, rows, ahead, most=most, may_read=lambda row: True)
    return Part(standing, wanted, tuple(rows), ahead, most, lines.encode(shown))


def _short(rows: Iterator[Row]) -> list[Row]:
    """As many of the rows as fit into a page."""
    length = 0

    def fits(row: Row) -> bool:
        nonlocal length
        length += len(row.signed.text) if row.signed is not None else 0
        return length <= _LONGEST

    return list(takewhile(fits, rows))
