"""Writing bytes of which nobody knows yet that they will be kept, so that keeping them takes no time.

A disk that is asked only at the end to make a gigabyte durable takes a second for it, in which the processor
has nothing to do. So it is asked all along, on a thread beside the one that writes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager

from skerry.stores.disk import disk_errors
from skerry.transfer.unbroken import unbroken

_FLUSH = 32 << 20
"""Bytes behind which the disk is asked. Measured: with more there is more left at the end, with less nothing
is gained. It is not asked again while it is busy with that."""


@asynccontextmanager
async def writing(fd: int, offset: int) -> AsyncIterator[Callable[[bytes], None]]:
    """Gives what writes blocks one behind the other, from `offset` on; for one thread.

    It raises NoSpace or StoreFailed, as does the end. After that no thread uses `fd` any more.
    """
    flusher = ThreadPoolExecutor(1, "flush")
    writer = _Writer(fd, offset, flusher)
    try:
        yield writer.write
    finally:
        await unbroken(asyncio.to_thread(flusher.shutdown))
    writer.check()


class _Writer:
    def __init__(self, fd: int, offset: int, flusher: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._offset = self._flushed = offset
        self._flusher = flusher
        self._flush: Future[None] | None = None

    def write(self, block: bytes) -> None:
        view = memoryview(block)
        with disk_errors():
            while view:
                written = os.pwrite(self._fd, view, self._offset)
                self._offset += written
                view = view[written:]
        if self._offset - self._flushed >= _FLUSH and (self._flush is None or self._flush.done()):
            self.check()
            self._flushed = self._offset
            self._flush = self._flusher.submit(os.fdatasync, self._fd)

    def check(self) -> None:
        """Raise what the disk has said: it says so once, so nobody would hear of it later."""
        if self._flush is not None and self._flush.done():
            with disk_errors():
                self._flush.result()
