"""The order of writing across the store and the catalogue. No other module knows it.

Adding: the bytes durable, then under their name, then in one transaction the record and the row of the copy.
Removing: the reverse. So a row of a complete copy always means bytes, and bytes without one are what a crash
left: `recover` takes them back. The row of a partial copy is a hint, good for as many bytes as the file has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from skerry.catalog.copies import Copies
from skerry.catalog.copies import Rule as CopyRule
from skerry.catalog.records import Records
from skerry.core.clock import Clock
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import NoSpace, NotFound
from skerry.core.image import Image
from skerry.core.index_name import index_name
from skerry.core.write_points import reached
from skerry.stores.base import Partial, Store
from skerry.stores.beside import Kind
from skerry.transfer.assembling import CHUNKS, JOURNAL, discard, owner, part
from skerry.transfer.unbroken import unbroken

T = TypeVar("T")
Rule = Callable[[Image], Image]


class Durable(Protocol):
    """Bytes on their way in; see `stores.base.Partial`."""

    def size(self) -> int:
        """How many there are."""
        ...

    def sync(self) -> None:
        """Return when they are durable."""
        ...


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `recover` found after a crash or by damage; all zero and empty after an orderly stop."""

    leftovers: int = 0
    """Files that belonged to nobody and were removed."""
    continued: int = 0
    """Whole files whose last transaction was missing; they are partial again and go on from there."""
    lost: tuple[str, ...] = ()
    """Images whose bytes should be here and are not."""


class Publisher:
    """Brings bytes and rows in step.

    Calls for one image run one after the other, each to its end even when the caller is cancelled.
    """

    def __init__(self, store: Store, records: Records, copies: Copies, clock: Clock) -> None:
        self._store = store
        self._records = records
        self._copies = copies
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.arrived = asyncio.Event()
        """Set when an image has become whole here."""

    async def publish(self, image_id: str, partial: Partial, size: int, rule: Rule) -> Image:
        """At the image's home: make the partial file its bytes, and apply `rule` to the record.

        Raises NotFound when the record is gone meanwhile, and what the rule raises; the bytes are a partial
        file again then.
        """
        return await self._alone(image_id, self._publish(image_id, partial, size, rule))

    async def keep(
        self, image_id: str, partial: Partial, size: int, *, cached: bool = True, index: bytes = b""
    ) -> None:
        """Make the verified partial file the bytes of an image of another site; see Copy for `cached`.

        `index` is the file of its index, when that is known.
        """
        await self._alone(image_id, self._keep(image_id, partial, size, cached, index))

    async def note_index(self, image_id: str, index: bytes, sketch: bytes) -> None:
        """Keep the files of the index and the sketch of a whole image, if it is still here.

        At the image's home the record says which index that is.
        """
        await self._alone(image_id, self._note_index(image_id, index, sketch))

    async def move(self, image_id: str, store: str) -> None:
        """Have the bytes of an image in another of the stores here; who reads them goes on to the end.

        Raises NoSpace, and NotFound when it is not whole here.
        """
        await self._alone(image_id, self._move(image_id, store))

    async def checkpoint(
        self,
        image_id: str,
        partial: Durable,
        *,
        size: int | None,
        cached: bool = False,
        rule: Rule | None = None,
    ) -> Copy:
        """Make durable what has arrived, and remember how much that is; `size` is that of the whole.

        With `rule` the record changes in the same transaction. Bytes may go on arriving meanwhile.
        """
        return await self._alone(image_id, self._checkpoint(image_id, partial, size, cached, rule))

    async def begin(self, image_id: str, rule: Rule) -> Image:
        """New bytes are about to come: `rule` is applied to the record, and what a former try left goes.

        Raises NotFound and what the rule raises; nothing has changed then.
        """
        return await self._alone(image_id, self._begin(image_id, rule))

    async def abandon(self, image_id: str, rule: Rule | None = None) -> None:
        """Give up a partial: its bytes go, then its row, and `rule` is applied to the record.

        Bytes first, against the order of whole images, so that a full disk has space for the transaction.
        """
        await self._alone(image_id, self._abandon(image_id, rule))

    async def delete(self, image_id: str, rule: Rule) -> Image:
        """At the image's home: the record becomes a tombstone once `rule` let it pass, then the bytes go."""
        return await self._alone(image_id, self._delete(image_id, rule))

    async def evict(self, image_id: str) -> None:
        """Remove a copy, whole or partial, and leave the record alone. Works on a full disk."""
        await self._alone(image_id, self._evict(image_id))

    async def requeue(self, image_id: str) -> None:
        """Give up the bytes of a copy, whole or partial, and leave it queued. Works on a full disk."""
        await self._alone(image_id, self._requeue(image_id))

    async def set_aside(self, image_id: str) -> None:
        """Take a copy that turned out bad out of service; its bytes are kept apart for inspection."""
        await self._alone(image_id, self._set_aside(image_id))

    async def recover(self) -> Recovered:
        """Bring bytes and rows in step at start, before anything else runs."""
        return await unbroken(self._recover())

    async def _alone(self, image_id: str, work: Coroutine[Any, Any, T]) -> T:
        async def turn() -> T:
            async with self._locks.setdefault(image_id, asyncio.Lock()):
                return await work

        return await unbroken(turn())

    async def _publish(self, image_id: str, partial: Partial, size: int, rule: Rule) -> Image:
        await asyncio.to_thread(self._store.publish, partial, image_id)
        reached("publish.bytes-visible")
        whole = self._becomes(image_id, CopyState.COMPLETE, size=size, durable=size, cached=False)
        try:
            image = await self._records.change(image_id, rule, also=self._remember(image_id, whole))
        except Exception:
            with suppress(NotFound):
                await asyncio.to_thread(self._store.retract, image_id)
            raise
        reached("publish.recorded")
        self.arrived.set()
        return image

    async def _keep(self, image_id: str, partial: Partial, size: int, cached: bool, index: bytes) -> None:
        await asyncio.to_thread(self._store.publish, partial, image_id)
        reached("keep.bytes-visible")
        name = ""
        if index:
            await asyncio.to_thread(self._store.beside.put, Kind.INDEX, image_id, index)
            name = index_name(index)
        whole = self._becomes(
            image_id, CopyState.COMPLETE, size=size, durable=size, cached=cached, index=name
        )
        await self._copies.change(image_id, whole)
        reached("keep.recorded")
        await asyncio.to_thread(discard, self._store, image_id)
        self.arrived.set()

    async def _note_index(self, image_id: str, index: bytes, sketch: bytes) -> None:
        copy = self._copies.get(image_id)
        if copy is None or copy.state is not CopyState.COMPLETE:
            return
        beside, name = self._store.beside, index_name(index)
        await asyncio.to_thread(beside.put, Kind.SKETCH, image_id, sketch)
        await asyncio.to_thread(beside.put, Kind.INDEX, image_id, index)
        reached("index.durable")

        def rule(copy: Copy | None) -> Copy | None:
            return copy and replace(copy, index=name)

        if copy.cached or (await self._records.get(image_id)).image.home is not None:
            await self._copies.change(image_id, rule)
        else:
            await self._records.note_index(image_id, name, also=self._remember(image_id, rule))
        reached("index.recorded")

    async def _move(self, image_id: str, store: str) -> None:
        copy = self._copies.get(image_id)
        if copy is None or copy.state is not CopyState.COMPLETE:
            raise NotFound(f"Image {image_id} is not whole here.", image=image_id)
        await asyncio.to_thread(self._store.move, image_id, store)

    async def _checkpoint(
        self, image_id: str, partial: Durable, size: int | None, cached: bool, rule: Rule | None
    ) -> Copy:
        row = self._copies.get(image_id)
        if row is not None and row.state is CopyState.COMPLETE:
            return row  # the bytes became whole while this call waited its turn
        durable = await asyncio.to_thread(_made_durable, partial)
        reached("checkpoint.bytes-durable")
        half = self._becomes(image_id, CopyState.PARTIAL, size=size, durable=durable, cached=cached)
        if rule is None:
            await self._copies.change(image_id, half)
        else:
            await self._records.change(image_id, rule, also=self._remember(image_id, half))
        reached("checkpoint.recorded")
        known = self._copies.get(image_id)
        assert known is not None
        return known

    async def _begin(self, image_id: str, rule: Rule) -> Image:
        image = await self._records.change(image_id, rule, also=self._forget(image_id))
        reached("begin.recorded")
        await asyncio.to_thread(self._store.partial(image_id).discard)
        return image

    async def _abandon(self, image_id: str, rule: Rule | None) -> None:
        await asyncio.to_thread(self._store.partial(image_id).discard)
        reached("abandon.bytes-gone")
        if rule is None:
            await self._copies.remove(image_id)
        else:
            await self._records.change(image_id, rule, also=self._forget(image_id))
        reached("abandon.recorded")

    async def _delete(self, image_id: str, rule: Rule) -> Image:
        image = await self._records.delete(image_id, rule, also=self._forget(image_id))
        reached("delete.recorded")
        await self._remove_bytes(image_id)
        return image

    async def _evict(self, image_id: str) -> None:
        await self._give_up(image_id, lambda: self._copies.remove(image_id))

    async def _give_up(self, image_id: str, record: Callable[[], Awaitable[None]]) -> None:
        """Record that a copy has no bytes, then remove them.

        The reverse where nothing else makes room for the record: `recover` puts right a row without bytes.
        """
        try:
            await record()
        except NoSpace:
            await self._remove_bytes(image_id)
            reached("evict.bytes-gone")
            await record()
        reached("evict.recorded")
        await self._remove_bytes(image_id)

    async def _requeue(self, image_id: str) -> None:
        known = self._copies.get(image_id)
        size = known.size if known else None
        queued = self._becomes(image_id, CopyState.QUEUED, size=size, durable=0, cached=True)
        await self._give_up(image_id, lambda: self._copies.change(image_id, queued, makes_room=True))

    async def _remove_bytes(self, image_id: str) -> None:
        await asyncio.to_thread(self._store.delete, image_id)
        await asyncio.to_thread(self._store.beside.delete, image_id)
        await asyncio.to_thread(discard, self._store, image_id)

    async def _set_aside(self, image_id: str) -> None:
        await self._copies.remove(image_id)
        reached("aside.recorded")
        await asyncio.to_thread(self._store.set_aside, image_id)
        await asyncio.to_thread(self._store.beside.delete, image_id)

    async def _recover(self) -> Recovered:
        rows = {copy.image_id: copy for copy in self._copies.all()}
        leftovers, continued = await asyncio.to_thread(self._take_back, rows)
        gone = await asyncio.to_thread(lambda: [row for row in rows.values() if not self._has_bytes(row)])
        for row in gone:
            await (self._requeue if row.pinned else self._evict)(row.image_id)
        await self._recover_indexes()
        lost = tuple(row.image_id for row in gone if row.state is CopyState.COMPLETE)
        return Recovered(leftovers, continued, lost)

    async def _recover_indexes(self) -> None:
        """Sweep what belongs to no whole image, and forget what is not there: it is made again."""
        rows = [copy for copy in self._copies.all() if copy.state is CopyState.COMPLETE]
        beside = self._store.beside
        await asyncio.to_thread(beside.sweep, {row.image_id for row in rows})
        there = set(await asyncio.to_thread(beside.ids, Kind.INDEX))
        for row in rows:
            if row.index and row.image_id not in there:
                await self._copies.change(row.image_id, lambda copy: copy and replace(copy, index=""))

    def _take_back(self, rows: Mapping[str, Copy]) -> tuple[int, int]:
        """Undo what was done to files and not recorded. Returns how many were removed, and continued."""
        leftovers, continued = self._store.tidy(), 0
        for image_id in self._store.ids():
            row = rows.get(image_id)
            if row is None or row.state is CopyState.QUEUED:
                self._store.delete(image_id)
                leftovers += 1
            elif row.state is CopyState.PARTIAL:
                journal = part(self._store, image_id, JOURNAL)
                self._store.retract(image_id, f"{image_id}.{CHUNKS}" if journal.size() else None)
                continued += 1
        for key in self._store.partials():
            row, partial = rows.get(owner(key)), self._store.partial(key)
            if row is None or row.state is not CopyState.PARTIAL:
                partial.discard()
                leftovers += 1
            elif key == row.image_id and partial.size() > row.durable:
                partial.truncate(row.durable)
        return leftovers, continued

    def _has_bytes(self, row: Copy) -> bool:
        match row.state:
            case CopyState.QUEUED:
                return True
            case CopyState.PARTIAL:  # a fetch goes on from however many there are
                return row.cached or self._store.partial(row.image_id).size() == row.durable
            case CopyState.COMPLETE:
                try:
                    return self._store.size(row.image_id) == row.size
                except NotFound:
                    return False

    def _remember(self, image_id: str, rule: CopyRule) -> Callable[[Connection], None]:
        return lambda connection: self._copies.change_on(connection, image_id, rule)

    def _forget(self, image_id: str) -> Callable[[Connection], None]:
        return lambda connection: self._copies.remove_on(connection, image_id)

    def _becomes(
        self,
        image_id: str,
        state: CopyState,
        *,
        size: int | None,
        durable: int,
        cached: bool,
        index: str = "",
    ) -> CopyRule:
        now = self._clock.now().timestamp()

        def rule(copy: Copy | None) -> Copy:
            known = copy or Copy(image_id, CopyState.QUEUED)
            since = known.since if known.state is state else now
            return replace(
                known,
                state=state,
                size=size,
                durable=durable,
                cached=cached,
                last_used=now,
                since=since,
                index=index,
            )

        return rule


def _made_durable(partial: Durable) -> int:
    """Sync, and return how many bytes that covers at least."""
    size = partial.size()
    partial.sync()
    return size
