"""Copies are read again from time to time, and what is wrong of them is brought anew.

A disk loses bits without saying so. What is cached here comes again from wherever an image comes: of one that
has an index only the chunks that are wrong, else all of it. The bytes of an image that is at home here come
from nowhere, so they are not given out any more, and a person is told.
"""

import asyncio
import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.core.clock import Clock
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import NotFound, SkerryError
from skerry.core.image import Image
from skerry.core.scrubbing import next_due
from skerry.stores.base import Store
from skerry.stores.beside import Kind
from skerry.stores.disk import disk_errors
from skerry.transfer.assembling import INDEX, JOURNAL, SCRATCH, part
from skerry.transfer.cache import Cache
from skerry.transfer.publish import Damage, Publisher
from skerry.transfer.whole import promised_digest

log = logging.getLogger(__name__)

_SLICE = 32 << 20
_PACE = 0.5
"""Seconds of rest after each slice, for what nobody waits for: 64 MiB a second at most."""

_GIVING_WAY = 1.0
"""Seconds that a slice waits, at most, while somebody reads images."""

_EVERY = 60.0
"""Seconds between looks whether a copy is due."""

_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of reading a copy: nothing is wrong, or `trouble`, and whether it is being put right."""

    image_id: str
    size: int
    trouble: str = ""
    healing: bool = False


class Scrubber:
    """Reads the copies of one site. `every` is in seconds: no copy is unread for longer; 0 for never."""

    def __init__(
        self,
        store: Store,
        copies: Copies,
        records: Records,
        publisher: Publisher,
        cache: Cache | None,
        clock: Clock,
        *,
        every: float,
    ) -> None:
        self._store = store
        self._copies = copies
        self._records = records
        self._publisher = publisher
        self._cache = cache
        self._clock = clock
        self._every = every
        self._reading = asyncio.Lock()
        self._asked: asyncio.Task[None] | None = None
        self.ahead: list[str] = []
        """Images that a person has asked for, and that were not read yet."""
        self.found: deque[Finding] = deque(maxlen=_REMEMBERED)
        """What came of those that a person asked for last."""
        self.read_bytes = self.wrong_copies = 0
        """Since the start: bytes read, and copies that were not right."""

    @property
    def running(self) -> bool:
        """Whether it reads for a person."""
        return self._asked is not None and not self._asked.done()

    async def run(self) -> None:
        """Read what is due, one copy after the other, until cancelled."""
        while True:
            due = next_due(self._copies.all(), self._now(), self._every) if self._every else None
            if due is None:
                await asyncio.sleep(_EVERY)
            else:
                await self._look(due.image_id, pace=_PACE)

    def ask(self, image_ids: Iterable[str]) -> None:
        """Read these now, in order; what was asked for before and not read yet is forgotten."""
        if self._asked is not None:
            self._asked.cancel()
        self.ahead = list(image_ids)
        self.found.clear()
        self._asked = asyncio.create_task(self._read_asked(), name="verify")

    async def close(self) -> None:
        """Stop reading for a person."""
        if self._asked is not None:
            self._asked.cancel()
            with suppress(asyncio.CancelledError):
                await self._asked

    async def verify(self, image_id: str, *, pace: float = 0.0) -> Finding:
        """Read a copy, and have put right what is wrong. Raises NotFound when it is not whole here."""
        async with self._reading:
            image = (await self._records.get(image_id)).image
            copy = self._whole(image_id)
            if await self._is_right(copy, image, pace) or await self._is_right(copy, image, pace):
                await self._publisher.note_verified(image_id, "")
                return Finding(image_id, copy.size or 0)
            finding = await self._put_right(self._whole(image_id))
            self.wrong_copies += 1
            return finding

    async def _read_asked(self) -> None:
        while self.ahead:
            finding = await self._look(self.ahead[0], pace=0.0)
            self.ahead.pop(0)
            if finding is not None:
                self.found.append(finding)

    async def _look(self, image_id: str, *, pace: float) -> Finding | None:
        try:
            return await self.verify(image_id, pace=pace)
        except NotFound:
            return None  # it went meanwhile
        except SkerryError as error:
            log.error("image %s could not be verified: %s", image_id, error)
            await self._publisher.note_verified(image_id, str(error)[:250])
            return Finding(image_id, 0, str(error))

    async def _is_right(self, copy: Copy, image: Image, pace: float) -> bool:
        """Whether the file has the digest of the record, as far as that has one."""
        algorithm, expected = promised_digest(image)
        if algorithm is None:
            return True
        with disk_errors():
            try:
                fd = os.open(self._store.path(copy.image_id), os.O_RDONLY | os.O_CLOEXEC)
            except (NotFound, FileNotFoundError):
                return False
        try:
            size, digest = os.fstat(fd).st_size, hashlib.new(algorithm)
            if size != image.size:
                return False
            for offset in range(0, size, _SLICE):
                await asyncio.to_thread(_take, digest, fd, offset, min(size, offset + _SLICE))
                self.read_bytes += min(size, offset + _SLICE) - offset
                await self._give_way(pace)
            return digest.hexdigest() == expected
        finally:
            os.close(fd)

    async def _give_way(self, pace: float) -> None:
        await asyncio.sleep(pace)
        for _ in range(10):
            if self._cache is None or not self._cache.readers:
                return
            await asyncio.sleep(_GIVING_WAY / 10)

    async def _put_right(self, copy: Copy) -> Finding:
        image_id, size = copy.image_id, copy.size or 0
        if self._cache is None or not copy.cached:
            trouble = "its bytes have not the digest of the record"
            await self._publisher.note_verified(image_id, trouble)
            log.error("image %s is damaged, and this is its home: %s", image_id, trouble)
            return Finding(image_id, size, trouble)
        damage = await self._cache.reopen(image_id, lambda: self._seed(copy))
        if damage is None:
            damage = Damage(size, "its bytes have not the digest of the record, and all of them come anew")
            await self._cache.renew(image_id)
        log.error("image %s is damaged: %s", image_id, damage.says)
        return Finding(image_id, size, damage.says, healing=True)

    def _seed(self, copy: Copy) -> Damage | None:
        """Have the chunks that are right stay; None where that cannot be done."""
        from skerry.chunking import index_file, salvage

        image_id, store = copy.image_id, self._store
        if not copy.index or image_id in store.elsewhere():
            return None
        try:
            data = store.beside.get(Kind.INDEX, image_id)
            index, path = index_file.decode(data, size=copy.size), store.path(image_id)
            kept = part(store, image_id, INDEX)
            with disk_errors():
                kept.path.write_bytes(data)
                kept.sync()
            journal, scratch = (part(store, image_id, what).path for what in (JOURNAL, SCRATCH))
            wrong = salvage.salvage(path, index, copy.index, journal, scratch)
        except (SkerryError, OSError) as error:
            log.warning("image %s comes anew as a whole: %s", image_id, error)
            return None
        if not wrong.chunks:
            return None
        return Damage(wrong.size, f"{wrong.chunks} of {index.count} chunks are wrong and come anew")

    def _whole(self, image_id: str) -> Copy:
        copy = self._copies.get(image_id)
        if copy is None or copy.state is not CopyState.COMPLETE:
            raise NotFound(f"Image {image_id} is not whole here.", image=image_id)
        return copy

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _take(digest: "hashlib._Hash", fd: int, offset: int, end: int) -> None:
    """Digest what the disk has, and not what memory has of it; holes are not read."""
    with disk_errors():
        os.posix_fadvise(fd, offset, end - offset, os.POSIX_FADV_DONTNEED)
        while offset < end:
            try:
                start = min(end, os.lseek(fd, offset, os.SEEK_DATA))
            except OSError:  # there is nothing but a hole
                start = end
            digest.update(bytes(start - offset))
            stop = min(end, os.lseek(fd, start, os.SEEK_HOLE)) if start < end else end
            offset = start
            while offset < stop:
                data = os.pread(fd, min(1 << 20, stop - offset), offset)
                if not data:
                    return  # it was cut off meanwhile, and so is not right
                digest.update(data)
                offset += len(data)
