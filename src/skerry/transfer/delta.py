"""An image by its chunks: what is held is copied, the rest comes in packs from upstream.

One thread has the assembly. Two requests are under way at the same time, so that the line is never idle, and
a third for what somebody waits for.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, TypeVar

import aiohttp
import numpy as np

from skerry.chunking import index_file, pack_file
from skerry.chunking.assemble import Assembly
from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.pack_stream import MOST_BASES, Arriving, Order, encode_order
from skerry.chunking.packs import Effort
from skerry.chunking.plan import FetchPlan, plan
from skerry.chunking.progress import needed, ready_to
from skerry.chunking.recipe import Numbers
from skerry.core.errors import SkerryError, UpstreamFailed, WrongBytes
from skerry.core.index_name import index_name
from skerry.transfer.assembling import CHUNKS, INDEX, JOURNAL, SCRATCH, discard_chunks, part
from skerry.transfer.chunks import Chunks
from skerry.transfer.persist import persist
from skerry.transfer.unbroken import unbroken
from skerry.transfer.way import Task
from skerry.transfer.whole import Whole

log = logging.getLogger(__name__)
T = TypeVar("T")

_WORKERS = 2
_BLOCK = 32 << 20
"""Bytes of chunks that are asked for together. The same blocks for all who hold the same, so that packs which
were made for one site serve the next."""

_SOON = 4 << 20
"""Bytes that are brought at once from where somebody waits."""

_SLICE = 32 << 20
"""Bytes that are copied before others have the thread."""

_MOST_HELD = 64
"""Images that are looked at for chunks."""

_FAST = 30e6
"""Bytes a second above which packing costs more time than it saves, unless much is held."""

_THIN = 8e6
"""Bytes a second below which packs are worth all the effort that can be made."""

_WORTH = 0.3
"""The share of an image that has to be held for it to come by its chunks over a fast line."""

_TURNS = 3
"""How often chunks are looked for again after the finished image was wrong."""


class Delta:
    """See `way.Way`. Made by `begin`."""

    @classmethod
    async def begin(cls, task: Task, chunks: Chunks, index: bytes, *, rate: float | None) -> "Delta | None":
        """Begin, or go on; None when the image had better come whole.

        `index` is the file of its index, `rate` that of the line as far as it is known, None when the way was
        chosen before. Raises UnknownFormat or WrongBytes when this cannot be used, NoSpace, StoreFailed.
        """
        way = cls(task, chunks, index)
        try:
            worth = await way._on_thread(way._plan)
            if rate is not None and rate > _FAST and worth < _WORTH:
                await way.close()
                return None
            way._rate = rate or 0.0
            await way._on_thread(way._open)
        except BaseException:
            await way.close()
            raise
        return way

    def __init__(self, task: Task, chunks: Chunks, index: bytes) -> None:
        self.index = index
        self.fd = -1
        self.received = 0
        self._task = task
        self._chunks = chunks
        self._name = index_name(index)
        self._rate = 0.0
        self.partial = part(task.store, task.image.id, CHUNKS)
        self.durable = _Durable(self)
        self._thread = ThreadPoolExecutor(1, "assemble")
        self._closed = False
        self._opened = ExitStack()
        self._damaged: set[str] = set()
        self._index: ImageIndex
        self._plan_: FetchPlan
        self._held: list[Held] = []
        self._assembly: Assembly | None = None
        self._useful: list[str] = []
        self._asked: Numbers = np.zeros(0, np.int64)
        self._left = 0
        self._wanted: int | None = None
        self._wanting = asyncio.Event()

    @property
    def done(self) -> int:
        """What is not missing any more, in proportion to the size of the file."""
        total = self._index.data_size
        return round(self._task.size * (total - self._left) / total) if total else self._task.size

    def ready(self, offset: int) -> int:
        """See `Way.ready`."""
        if self._assembly is None:
            return offset
        return ready_to(self._index, self._assembly.in_file, self._assembly.built, offset)

    def want(self, offset: int) -> None:
        """See `Way.want`."""
        self._wanted = offset
        self._wanting.set()

    async def bring(self) -> None:
        """See `Way.bring`."""
        for _ in range(_TURNS):
            await self._follow()
            try:
                await persist(
                    self._task.image.id,
                    self._task.upstream.link,
                    self._attempt,
                    progress=lambda: self.received,
                    held_up=self._task.held_up,
                )
            except _Damaged:
                await self._on_thread(self._plan)
            else:
                if await self._on_thread(self._finish):
                    return
        raise WrongBytes("its chunks do not make it", image=self._task.image.id)

    async def anew(self) -> Whole:
        """From nothing, and whole: what went wrong is not known."""
        await self.close()
        await asyncio.to_thread(discard_chunks, self._task.store, self._task.image.id)
        return Whole(self._task)

    async def close(self) -> None:
        """See `Way.close`."""
        if not self._closed:
            self._closed = True
            await self._on_thread(self._close)
            self._thread.shutdown(wait=False)

    # On the thread

    def _plan(self) -> float:
        """Look at what is held. Returns the share of the image that is."""
        self._index = index_file.decode(self.index, size=self._task.size)
        ids = self._chunks.similar(self._task.image)[:_MOST_HELD]
        held = self._opened.enter_context(self._chunks.holdings.open(ids))
        self._held = [one for one in held if one.name not in self._damaged]
        done = None if self._assembly is None else self._assembly.stored
        all_of_it = plan(self._index, [one.index for one in self._held])
        self._plan_ = plan(self._index, [one.index for one in self._held], done)
        worth = sorted(zip(all_of_it.reused_bytes, self._held, strict=True), key=lambda each: -each[0])
        self._useful = [one.name for size, one in worth if size][:MOST_BASES]
        total = self._index.data_size
        return sum(all_of_it.reused_bytes) / total if total else 0.0

    def _open(self) -> None:
        store, image_id = self._task.store, self._task.image.id
        saved = part(store, image_id, INDEX)
        if saved.size() != len(self.index):
            saved.path.write_bytes(self.index)
            saved.sync()
        self.fd = self.partial.open()
        journal, scratch = (part(store, image_id, what).path for what in (JOURNAL, SCRATCH))
        self._assembly = Assembly(self._index, self._name, self.fd, journal, scratch)
        self._plan_ = plan(self._index, [one.index for one in self._held], self._assembly.stored)

    def _finish(self) -> bool:
        """Whether the file is right. If not, what is wrong of it is brought again."""
        assembly = self._made()
        try:
            assembly.finish()
        except WrongBytes as error:
            wrong, damaged = assembly.recheck()
            log.warning("image %s: %s %d chunks are brought again.", self._task.image.id, error, wrong)
            if not wrong:
                raise
            self._damaged |= damaged
            self._plan()
            return False
        return True

    def _close(self) -> None:
        if self._assembly is not None:
            with suppress(SkerryError):
                self._assembly.checkpoint()
            self._assembly.close()
        self._opened.close()

    def _take(self, arriving: Arriving, data: bytes) -> None:
        assembly = self._made()
        for number, chunk in arriving.feed(data):
            if not assembly.stored[number]:
                self._left -= len(chunk)
            assembly.put(number, chunk)

    def _made(self) -> Assembly:
        assert self._assembly is not None
        return self._assembly

    # On the loop

    async def _follow(self) -> None:
        """Copy what is held."""
        missing = self._plan_.missing_bytes
        self._left = missing + sum(self._plan_.reused_bytes)
        copying = self._made().follow(self._plan_, self._held)
        while copied := await self._on_thread(lambda: _some(copying)):
            self._left = max(missing, self._left - copied)
            self._task.progressed()
        self._left = missing
        self._task.progressed()

    async def _attempt(self) -> bool:
        """Ask for all that is missing; whether all of it has come."""
        self._asked = np.zeros(0, np.int64)
        workers = [asyncio.create_task(self._work()) for _ in range(_WORKERS)]
        urgent = asyncio.create_task(self._work_urgently())
        both: asyncio.Future[Any] = asyncio.gather(*workers)
        try:
            await asyncio.wait([both, urgent], return_when=asyncio.FIRST_COMPLETED)
            for ended in (both, urgent):
                if ended.done():
                    ended.result()
        finally:
            for task in (*workers, urgent):
                task.cancel()
            await asyncio.gather(both, *workers, urgent, return_exceptions=True)
        return not len(self._missing())

    async def _work(self) -> None:
        while len(block := self._next()):
            await self._request(block)

    async def _work_urgently(self) -> None:
        while True:
            await self._wanting.wait()
            self._wanting.clear()
            if self._wanted is not None and len(block := self._next_wanted(self._wanted)):
                await self._request(block)

    def _missing(self) -> Numbers:
        missing: Numbers = self._plan_.missing[~self._made().stored[self._plan_.missing]]
        return missing

    def _next(self) -> Numbers:
        """Of the block that is the first of which nothing was asked for, what is missing."""
        sizes = np.cumsum(self._index.length[self._plan_.missing])
        blocks = (sizes - 1) // _BLOCK
        asked = np.isin(self._plan_.missing, self._asked)
        free = np.flatnonzero(~asked & ~self._made().stored[self._plan_.missing])
        if not len(free):
            return free
        block = self._plan_.missing[free[blocks[free] == blocks[free[0]]]]
        self._asked = np.union1d(self._asked, block)
        return block

    def _next_wanted(self, offset: int) -> Numbers:
        assembly = self._made()
        length = min(_SOON, self._task.size - offset)
        found = needed(self._index, assembly.in_file, assembly.built, offset, length)
        found = np.unique(self._plan_.twin[found])
        missing = self._missing()
        wanted: Numbers = missing[np.isin(missing, found)]
        return wanted

    async def _request(self, block: Numbers) -> None:
        """Have some chunks come. Raises one of NO_ANSWER when the line breaks, and WrongBytes."""
        task, loop = self._task, asyncio.get_running_loop()
        arriving = Arriving(self._name, self._index, {one.name: one for one in self._held})
        began, before = loop.time(), self.received
        try:
            async with task.upstream.packs(task.image.id, self._order(block), stall=task.stall) as response:
                async for data in response.content.iter_any():
                    task.received(len(data))
                    self.received += len(data)
                    await self._on_thread(partial(self._take, arriving, data))
                    task.progressed()
                    await task.throttle.passed(len(data))
            if not arriving.ended:
                raise aiohttp.ClientPayloadError("the packs end before their end")
        except UpstreamFailed as error:
            if error.status in (404, 405, 409, 413):
                raise WrongBytes(f"upstream has no chunks of it any more: {error}") from error
            raise
        except WrongBytes as error:
            if not (name := error.ids.get("index")):
                raise
            log.error("the image whose index is %s is damaged; nothing is made of it", name)
            self._damaged.add(name)
            raise _Damaged from error
        self._rate = (self.received - before) / max(loop.time() - began, 1e-6)

    def _order(self, block: Numbers) -> bytes:
        return encode_order(
            Order(
                bytes.fromhex(self._name),
                tuple(pack_file.to_runs(block)),
                tuple(bytes.fromhex(name) for name in self._useful),
                Effort.THOROUGH if self._rate < _THIN else Effort.QUICK,
            )
        )

    async def _on_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        return await unbroken(future)


class _Damaged(Exception):
    """A held image has other bytes than its index says, so that packs do not unpack."""


class _Durable:
    """See `publish.Durable`: how far the assembly is, and its checkpoint."""

    def __init__(self, way: Delta) -> None:
        self._way = way

    def size(self) -> int:
        return self._way.done

    def sync(self) -> None:
        with suppress(RuntimeError):  # the way was closed meanwhile, with a checkpoint of its own
            self._way._thread.submit(self._way._made().checkpoint).result()


def _some(copying: Iterator[int]) -> int:
    """Copy for a while. Returns how many bytes, 0 at the end."""
    total = 0
    for size in copying:
        total += size
        if total >= _SLICE:
            break
    return total
