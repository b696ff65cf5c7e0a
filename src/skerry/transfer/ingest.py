"""Bytes into a file in one pass: written, digested and inspected as they arrive, each on a thread of its own.

Measured with md5, sha512 and inspection on two cores: the digests set the pace, not the receiving. Blocks are
small enough to stay in the processor's cache between the threads.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock

from skerry.core.errors import StoreFailed, TooLarge
from skerry.stores.disk import disk_errors
from skerry.transfer.inspection import Inspection
from skerry.transfer.unbroken import unbroken
from skerry.transfer.writing import writing

BLOCK = 192 << 10
"""Bytes that are handed to the threads together when they come fast.

uvloop reads up to 250 KiB at once: those are handed on as they are, not copied into a larger block first.
"""

_UNDER_WAY = 16
"""Blocks that may wait for the slowest thread: 4 MiB for each ingest."""

Sink = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What is known of the bytes: size, digests in hex by hashlib's names, virtual size if known."""

    size: int
    digests: dict[str, str]
    virtual_size: int | None


class Tally:
    """What has been seen of an image, from its first byte on. Its owner keeps it from one ingest to the next.

    `size` counts bytes that are written, digested and inspected. After NoSpace or StoreFailed the tally is of
    no more use.
    """

    def __init__(
        self, algorithms: Sequence[str] = ("md5", "sha512"), inspection: Inspection | None = None
    ) -> None:
        self.size = 0
        self._digests = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._inspection = inspection

    def sinks(self) -> list[Sink]:
        """What each block must be shown to, in order."""
        sinks: list[Sink] = [digest.update for digest in self._digests.values()]
        return sinks if self._inspection is None else [*sinks, self._inspection.feed]

    def result(self) -> Ingested:
        """The end of it. Raises BadImage when the bytes are refused. To be called once."""
        virtual_size = self._inspection.conclude(self.size) if self._inspection else None
        digests = {name: digest.hexdigest() for name, digest in self._digests.items()}
        return Ingested(self.size, digests, virtual_size)


async def ingest(
    chunks: AsyncIterator[bytes],
    fd: int,
    tally: Tally,
    *,
    limit: int,
    report: Callable[[int], None] | None = None,
) -> None:
    """Write `chunks` behind the `tally.size` bytes that are there; `report` hears on the loop how far it is.

    What has arrived when it ends, or is cancelled, is in the file and in the tally; nothing is durable yet.
    Raises TooLarge when there would be more than `limit` bytes in all, NoSpace, StoreFailed, and what
    `chunks` raises. When it is over, no thread uses `fd` any more.
    """
    async with writing(fd, tally.size) as write:
        await _run(chunks, [write, *tally.sinks()], tally, limit, report)


async def reread(fd: int, tally: Tally, size: int) -> None:
    """Show `tally` the bytes of the file from `tally.size` to `size`, as after a restart. Or StoreFailed."""
    sinks = tally.sinks()
    if sinks:
        await _run(_stored(fd, tally.size, size), sinks, tally, size, None)
    else:
        tally.size = size


async def _run(
    chunks: AsyncIterator[bytes],
    sinks: Sequence[Sink],
    tally: Tally,
    limit: int,
    report: Callable[[int], None] | None,
) -> None:
    total = tally.size
    waiting: list[bytes] = []
    size = 0

    def take() -> bytes:
        nonlocal waiting, size
        block = b"".join(waiting)
        waiting, size = [], 0
        return block

    crew = _Crew(sinks, tally, report, take)
    try:
        async for chunk in chunks:
            total += len(chunk)
            if total > limit:
                raise TooLarge(f"The incoming image is too large: more than {limit} bytes.")
            waiting.append(chunk)
            size += len(chunk)
            if size >= BLOCK or crew.idle:
                await crew.ready()
                crew.hand(take())
    finally:
        await unbroken(crew.finish(take()))


async def _stored(fd: int, start: int, end: int) -> AsyncIterator[bytes]:
    while start < end:
        with disk_errors():
            block = await unbroken(asyncio.to_thread(os.pread, fd, min(BLOCK, end - start), start))
        if not block:
            raise StoreFailed(f"The file ends at byte {start}, it should have {end}.")
        start += len(block)
        yield block


class _Crew:
    """A thread for each sink, all of them given the same blocks in the same order.

    `more` gives what has come meanwhile, or nothing: it must not lie about while the stream pauses.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        tally: Tally,
        report: Callable[[int], None] | None,
        more: Callable[[], bytes],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._more = more
        self._tally = tally
        self._report = report
        self._room = asyncio.Semaphore(_UNDER_WAY)
        self._under_way = 0
        self._lock = Lock()
        self._failure: BaseException | None = None
        self._queues: list[SimpleQueue[_Block | None]] = [SimpleQueue() for _ in sinks]
        # Not the loop's own executor: its threads are few, and ingests that got only some of theirs would
        # wait for each other for ever.
        self._threads = ThreadPoolExecutor(len(sinks), "ingest")
        self._done = [
            self._loop.run_in_executor(self._threads, self._work, queue, sink)
            for queue, sink in zip(self._queues, sinks, strict=True)
        ]

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that waiting for a larger block would gain nothing."""
        return self._under_way == 0

    async def ready(self) -> None:
        """Wait until a block may be handed over; raise what has gone wrong with those before it."""
        await self._room.acquire()
        if self._failure is not None:
            raise self._failure

    def hand(self, data: bytes) -> None:
        """Give a block to all threads."""
        self._under_way += 1
        block = _Block(data, len(self._queues))
        for queue in self._queues:
            queue.put(block)

    async def finish(self, rest: bytes) -> None:
        """Hand over the rest and wait for all threads. Raises what has gone wrong."""
        if rest and self._failure is None:
            self.hand(rest)
        for queue in self._queues:
            queue.put(None)
        await asyncio.gather(*self._done)
        self._threads.shutdown(wait=False)
        if self._failure is not None:
            raise self._failure

    def _work(self, queue: "SimpleQueue[_Block | None]", sink: Sink) -> None:
        """On a thread. After a failure blocks are passed over, so that nobody waits for this thread."""
        while (block := queue.get()) is not None:
            failure: BaseException | None = None
            if self._failure is None:
                try:
                    sink(block.data)
                except BaseException as error:
                    failure = error
            with self._lock:
                self._failure = self._failure or failure
                block.sinks -= 1
                last = block.sinks == 0
            if last:
                self._loop.call_soon_threadsafe(self._landed, len(block.data))

    def _landed(self, size: int) -> None:
        """On the loop: all sinks have taken the next block."""
        self._under_way -= 1
        if self._failure is None:
            self._tally.size += size
            if self._report is not None:
                self._report(self._tally.size)
        if self.idle and self._failure is None and (more := self._more()):
            self.hand(more)  # in the room of the block that has landed
        else:
            self._room.release()


@dataclass(slots=True, eq=False)
class _Block:
    """Bytes, and how many sinks have yet to take them."""

    data: bytes
    sinks: int
