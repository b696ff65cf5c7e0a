"""The order of writing, stopped at each write point of a cache, and met by damage."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.core import write_points
from skerry.core.clock import SystemClock
from skerry.core.copy import CopyState
from skerry.core.errors import Conflict, NoSpace
from skerry.core.image import Image, Status
from skerry.stores.base import Partial
from skerry.stores.filesystem import FilesystemStore
from skerry.transfer.publish import Publisher, Recovered

Found = tuple[CopyState | None, list[str], list[str]]

ONE = "11111111-1111-4111-8111-111111111111"


@dataclass
class Parts:
    """A site's store and catalogue, without a site."""

    store: FilesystemStore
    records: Records
    copies: Copies
    publisher: Publisher

    def arrived(self, data: bytes) -> Partial:
        """Bytes in the partial file of ONE."""
        partial = self.store.partial(ONE)
        fd = partial.open()
        try:
            os.pwrite(fd, data, 0)
        finally:
            os.close(fd)
        return partial

    def found(self) -> Found:
        """The state of the copy, whole files, partial files."""
        copy = self.copies.get(ONE)
        return copy.state if copy else None, list(self.store.ids()), list(self.store.partials())


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Parts]:
    clock = SystemClock()
    database = Database(f"sqlite:///{folder / 'skerry.db'}")
    await database.open()
    try:
        records, copies = Records(database, clock), Copies(database, clock)
        await records.load()
        await copies.load()
        store = FilesystemStore(folder / "images")
        yield Parts(store, records, copies, Publisher(store, records, copies, clock))
    finally:
        await database.close()


class CrashError(Exception):
    """The process ends here, as far as the parts can tell."""


@asynccontextmanager
async def crashing_at(label: str) -> AsyncIterator[None]:
    def passed(reached: str) -> None:
        if reached == label:
            raise CrashError

    write_points.set_hook(passed)
    try:
        with pytest.raises(CrashError):
            yield
    finally:
        write_points.set_hook(None)


async def keep(parts: Parts) -> None:
    await parts.publisher.keep(ONE, parts.store.partial(ONE), 5)


async def evict(parts: Parts) -> None:
    await parts.publisher.evict(ONE)


async def set_aside(parts: Parts) -> None:
    await parts.publisher.set_aside(ONE)


ABSENT: Found = (None, [], [])
PARTIAL: Found = (CopyState.PARTIAL, [], [ONE])
WHOLE: Found = (CopyState.COMPLETE, [ONE], [])


@pytest.mark.parametrize(
    ("do", "label", "then"),
    [
        (keep, "store.bytes-durable", PARTIAL),
        (keep, "store.renamed", PARTIAL),
        (keep, "keep.bytes-visible", PARTIAL),
        (keep, "keep.recorded", WHOLE),
        (evict, "evict.recorded", ABSENT),
        (set_aside, "aside.recorded", ABSENT),
    ],
)
async def test_a_cache_that_crashes_has_the_copy_as_before_or_as_after(
    tmp_path: Path, do: Callable[[Parts], Awaitable[None]], label: str, then: object
) -> None:
    async with opened(tmp_path) as parts:
        await parts.publisher.checkpoint(ONE, parts.arrived(b"bytes"), size=5, cached=True)
        if do is not keep:
            await keep(parts)
        async with crashing_at(label):
            await do(parts)
    async with opened(tmp_path) as parts:
        await parts.publisher.recover()
        assert parts.found() == then
        assert await parts.publisher.recover() == Recovered()


async def test_a_copy_that_is_evicted_from_a_full_disk_goes_even_when_the_site_crashes_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for the transaction, and no reserve: the bytes make it."""
    async with opened(tmp_path) as parts:
        parts.arrived(b"bytes")
        await keep(parts)
        remove = parts.copies.remove

        async def full_while_there_are_bytes(image_id: str) -> None:
            if list(parts.store.ids()):
                raise NoSpace("full")
            await remove(image_id)

        monkeypatch.setattr(parts.copies, "remove", full_while_there_are_bytes)
        async with crashing_at("evict.bytes-gone"):
            await evict(parts)
    async with opened(tmp_path) as parts:
        assert await parts.publisher.recover() == Recovered(lost=(ONE,))
        assert parts.found() == ABSENT


async def test_bytes_after_the_last_checkpoint_do_not_count_after_a_crash(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        await parts.publisher.checkpoint(ONE, parts.arrived(b"known"), size=100, cached=True)
        parts.arrived(b"known and not known")
    async with opened(tmp_path) as parts:
        await parts.publisher.recover()
        assert parts.store.partial(ONE).size() == 5


async def test_files_of_nobody_are_removed_at_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        parts.store.publish(parts.arrived(b"whole"), ONE)
        parts.arrived(b"half")
        assert await parts.publisher.recover() == Recovered(leftovers=2)
        assert parts.found() == ABSENT


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"cut")])
async def test_a_copy_whose_bytes_were_lost_is_reported_and_no_longer_counted_on(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with opened(tmp_path) as parts:
        parts.arrived(b"bytes")
        await keep(parts)
        damage(parts.store.path(ONE))
    async with opened(tmp_path) as parts:
        assert await parts.publisher.recover() == Recovered(lost=(ONE,))
        assert parts.found() == ABSENT


async def test_an_orderly_stop_leaves_nothing_to_recover(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        parts.arrived(b"bytes")
        await keep(parts)
    async with opened(tmp_path) as parts:
        assert await parts.publisher.recover() == Recovered()
        assert parts.found() == WHOLE


async def test_a_record_that_refuses_leaves_the_bytes_partial(tmp_path: Path) -> None:
    def refuse(image: Image) -> Image:
        raise Conflict("no")

    async with opened(tmp_path) as parts:
        now = SystemClock().now()
        await parts.records.create(Image(ONE, now, now))
        partial = parts.arrived(b"bytes")
        with pytest.raises(Conflict):
            await parts.publisher.publish(ONE, partial, 5, refuse)
        assert parts.found() == (None, [], [ONE])


async def test_a_checkpoint_that_comes_too_late_does_not_make_a_whole_copy_partial(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        partial = parts.arrived(b"bytes")
        await keep(parts)
        await parts.publisher.checkpoint(ONE, partial, size=5, cached=True)
        assert parts.found() == WHOLE


async def test_pins_and_hits_outlast_the_way_from_partial_to_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        copy = await parts.publisher.checkpoint(ONE, parts.arrived(b"bytes"), size=5, cached=True)
        await parts.copies.put(replace(copy, pinned=True, hits=3))
        await keep(parts)
        whole = parts.copies.get(ONE)
        assert whole is not None
        assert (whole.state, whole.pinned, whole.hits, whole.durable) == (CopyState.COMPLETE, True, 3, 5)


async def test_deleting_an_image_needs_its_rule_to_pass(tmp_path: Path) -> None:
    def refuse(image: Image) -> Image:
        raise Conflict("protected")

    async with opened(tmp_path) as parts:
        now = SystemClock().now()
        await parts.records.create(Image(ONE, now, now))
        await parts.publisher.publish(
            ONE, parts.arrived(b"bytes"), 5, lambda image: replace(image, status=Status.ACTIVE, size=5)
        )
        with pytest.raises(Conflict):
            await parts.publisher.delete(ONE, refuse)
        assert parts.found() == WHOLE


async def test_a_full_disk_at_the_last_step_leaves_the_bytes_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> Image:
        raise NoSpace("full")

    async with opened(tmp_path) as parts:
        monkeypatch.setattr(parts.records, "change", full)
        with pytest.raises(NoSpace):
            await parts.publisher.publish(ONE, parts.arrived(b"bytes"), 5, lambda image: image)
        assert parts.found() == (None, [], [ONE])
