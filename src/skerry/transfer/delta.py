"""An image by its chunks: what is held is copied, the rest comes in packs from whoever has it (`gather`).

One thread has the assembly. Others that fetch the same image are given what is here meanwhile.
"""

import asyncio
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import TypeVar

import numpy as np

from skerry.chunking import pack_file
from skerry.chunking.assemble import Assembly
from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.pack_stream import MOST_BASES, Arriving, Order, encode_order
from skerry.chunking.packs import Effort
from skerry.chunking.part import Part
from skerry.chunking.plan import ChunkPlan, plan
from skerry.chunking.progress import needed, ready_to
from skerry.chunking.recipe import Flags, Numbers
from skerry.core.errors import SkerryError, UpstreamFailed, WrongBytes
from skerry.core.index_name import index_name
from skerry.core.swarm.swarm import Swarm
from skerry.stores.disk import disk_errors
from skerry.transfer.assembling import CHUNKS, INDEX, JOURNAL, SCRATCH, discard_chunks, part
from skerry.transfer.chunks import Chunks
from skerry.transfer.gather import GONE, Gathering, Hands
from skerry.transfer.persist import persist
from skerry.transfer.reuse import find, why_whole
from skerry.transfer.unbroken import unbroken
from skerry.transfer.way import Task
from skerry.transfer.whole import Whole, promised_digest

log = logging.getLogger(__name__)
T = TypeVar("T")

_SOON, _LEAST_SOON, _MOST_SOON = 0.5, 256 << 10, 4 << 20
"""Seconds of the line, and bounds in bytes, of what is brought at once from where somebody waits: who reads
here and there waits for what was asked for before, and qemu gives up after five seconds."""

_SHOWN = 16 << 20
"""Bytes that are looked at together for somebody who waits: whether what was copied is right."""

_SLICE = 32 << 20
"""Bytes that are copied before others have the thread."""

_THIN = 8e6
"""Bytes a second below which packs are worth all the effort that can be made."""

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
            if why_whole(await way._on_thread(way._plan), rate):
                await way.close()
                return None
            way._rate = rate or 0.0
            await way._on_thread(way._open)
            chunks.growing[task.image.id] = way
        except BaseException:
            await way.close()
            raise
        return way

    def __init__(self, task: Task, chunks: Chunks, index: bytes) -> None:
        self.index = index
        self.fd = -1
        self.name = index_name(index)
        self._brought: Counter[str] = Counter()
        self._gathering: Gathering | None = None
        self._task = task
        self._chunks = chunks
        self._rate = 0.0
        self.partial = part(task.store, task.image.id, CHUNKS)
        self.durable = _Durable(self)
        self._thread = ThreadPoolExecutor(1, "assemble")
        self._closed = False
        self._opened = ExitStack()
        self._damaged: set[str] = set()
        self._index: ImageIndex
        self._plan_: ChunkPlan
        self._held: list[Held] = []
        self._assembly: Assembly | None = None
        self._useful: list[str] = []
        self._left = 0
        self._wanted: int | None = None
        self._right: Flags = np.zeros(0, np.bool_)
        self._right_pieces: Flags = np.zeros(0, np.bool_)
        self._looking: dict[int, asyncio.Task[None]] = {}

    @property
    def proven(self) -> bool:
        """See `Way.proven`: the record names the index, and what is ready was compared with that."""
        return self._task.image.index is not None

    @property
    def received(self) -> int:
        """See `Way.received`."""
        return self._brought.total()

    @property
    def sources(self) -> Mapping[str, int]:
        """See `Way.sources`."""
        return self._brought

    @property
    def done(self) -> int:
        """What is not missing any more, in proportion to the size of the file."""
        total = self._index.data_size
        return round(self._task.size * (total - self._left) / total) if total else self._task.size

    def ready(self, offset: int) -> int:
        """See `Way.ready`."""
        if self._assembly is None:
            return offset
        there = self._assembly.in_file & self._right
        return ready_to(self._index, there, self._right_pieces, offset, _SHOWN)

    def want(self, offset: int) -> None:
        """See `Way.want`."""
        if offset != self._wanted:
            self._wanted = offset
            self._hurry()
        if self._assembly is not None and not self._closed and offset not in self._looking:
            self._looking[offset] = asyncio.create_task(self._look(offset), name="look-at-chunks")

    # For others that fetch the same image

    @property
    def stored(self) -> Numbers:
        """The chunks that are here, ascending."""
        return np.flatnonzero(self._made().stored)

    @property
    def coming(self) -> Numbers:
        """The chunks that sources were asked for, ascending."""
        return self._gathering.swarm.asked_chunks() if self._gathering is not None else np.zeros(0, np.int64)

    def part(self) -> Part:
        """What is here, to be read while the rest comes; to be closed."""
        return self._made().part()

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
            await asyncio.gather(*self._looking.values(), return_exceptions=True)
            if self._chunks.growing.get(self._task.image.id) is self:
                del self._chunks.growing[self._task.image.id]
            await self._on_thread(self._close)
            self._thread.shutdown(wait=False)

    # On the thread

    def _plan(self) -> float:
        """Look at what is held. Returns the share of the image that is."""
        task = self._task
        found = find(task.image, task.size, self.index, self._chunks, self._opened, self._damaged)
        self._index, self._held, self._plan_ = found.index, found.held, found.plan
        self._useful = found.useful(MOST_BASES)
        if self._assembly is not None:
            self._plan_ = plan(self._index, [one.index for one in self._held], self._assembly.stored)
        return found.share

    def _open(self) -> None:
        store, image_id = self._task.store, self._task.image.id
        saved = part(store, image_id, INDEX)
        if saved.size() != len(self.index):
            new = store.partial(f"{saved.key}.new")
            with disk_errors():
                new.path.write_bytes(self.index)
                new.sync()
                new.path.replace(saved.path)
                saved.sync()
        self.fd = self.partial.open()
        journal, scratch = (part(store, image_id, what).path for what in (JOURNAL, SCRATCH))
        self._assembly = Assembly(self._index, self.name, self.fd, journal, scratch)
        self._plan_ = plan(self._index, [one.index for one in self._held], self._assembly.stored)
        self._right = np.zeros(self._index.count, np.bool_)
        self._right_pieces = np.zeros(len(self._index.recipe.at), np.bool_)

    def _see(self, offset: int) -> bool:
        """Compare with their ids the chunks of the next bytes that are here; whether any was not compared."""
        assembly, recipe = self._made(), self._index.recipe
        nothing = np.zeros(self._index.count, np.bool_), np.zeros(len(recipe.at), np.bool_)
        numbers = needed(self._index, *nothing, offset, min(_SHOWN, self._task.size - offset))
        news = False
        for number in numbers[~self._right[numbers]].tolist():
            if assembly.is_right(number):
                self._right[number] = news = True
        first = max(int(np.searchsorted(recipe.at, offset, side="right")) - 1, 0)
        last = int(np.searchsorted(recipe.at, offset + _SHOWN))
        for piece in range(first, last):
            if recipe.made[piece] and assembly.built[piece] and not self._right_pieces[piece]:
                start = int(recipe.view[piece])
                chunks = slice(*self._index.covering(start, start + int(recipe.span[piece])))
                if bool(np.all(self._right[chunks])):
                    self._right_pieces[piece] = news = True
        return news

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
            self._right_pieces[:] = False
            self._plan()
            return False
        algorithm, expected = promised_digest(self._task.image)
        if algorithm not in (None, "sha512"):
            with os.fdopen(os.dup(self.fd), "rb") as file:
                file.seek(0)
                if hashlib.file_digest(file, str(algorithm)).hexdigest() != expected:
                    raise WrongBytes(f"the {algorithm} of the bytes is not the record's")
        return True

    def _close(self) -> None:
        if self._assembly is not None:
            with suppress(SkerryError):
                self._assembly.checkpoint()
            self._assembly.close()
        self._opened.close()

    def _take(self, arriving: Arriving, data: bytes) -> list[int]:
        assembly, came = self._made(), []
        for number, chunk in arriving.feed(data):
            came.append(number)
            if not assembly.stored[number]:
                self._left -= len(chunk)
                assembly.put(number, chunk)
                self._right[number] = True
        return came

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
        swarm = Swarm(self._index.length, self._missing())
        hands = Hands(self._order, self._arriving, self._taken)
        gathering = Gathering(self._task, swarm, hands, self._brought, rate=self._rate)
        self._gathering = gathering
        self._hurry()
        try:
            await gathering.run(self.name, self._index.count)
        except UpstreamFailed as error:
            if error.status in GONE:
                raise WrongBytes(f"upstream has no chunks of it any more: {error}") from error
            raise
        except WrongBytes as error:
            if not (name := error.ids.get("index")):
                raise
            log.error("the image whose index is %s is damaged; nothing is made of it", name)
            self._damaged.add(name)
            raise _Damaged from error
        finally:
            self._gathering, self._rate = None, gathering.rate
        return not len(self._missing())

    async def _look(self, offset: int) -> None:
        """See what of the next bytes may be handed out."""
        try:
            if await self._on_thread(partial(self._see, offset)):
                self._task.progressed()
        except SkerryError as error:
            log.warning("image %s: what is here of it cannot be read: %s", self._task.image.id, error)
        finally:
            self._looking.pop(offset, None)

    def _hurry(self) -> None:
        """See that what somebody waits for comes first."""
        if self._gathering is not None and self._wanted is not None:
            self._gathering.hurry(self._wanted, self._next_wanted(self._wanted))

    async def _taken(self, arriving: Arriving, data: bytes) -> list[int]:
        return await self._on_thread(partial(self._take, arriving, data))

    def _arriving(self) -> Arriving:
        return Arriving(self.name, self._index, {one.name: one for one in self._held})

    def _missing(self) -> Numbers:
        missing: Numbers = self._plan_.missing[~self._made().stored[self._plan_.missing]]
        return missing

    def _next_wanted(self, offset: int) -> Numbers:
        assembly = self._made()
        length = min(_soon(self._task.upstream.meter.rate or 0.0), self._task.size - offset)
        found = needed(self._index, assembly.in_file, assembly.built, offset, length)
        found = np.unique(self._plan_.twin[found])
        missing = self._missing()
        wanted: Numbers = missing[np.isin(missing, found)]
        return wanted

    def _order(self, chunks: Numbers, rate: float) -> bytes:
        return encode_order(
            Order(
                bytes.fromhex(self.name),
                tuple(pack_file.to_runs(chunks)),
                tuple(bytes.fromhex(name) for name in self._useful),
                Effort.THOROUGH if rate < _THIN else Effort.QUICK,
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


def _soon(rate: float) -> int:
    """Bytes to bring at once from where somebody waits, over a line of so many bytes a second."""
    return round(min(max(rate * _SOON, _LEAST_SOON), _MOST_SOON))


def _some(copying: Iterator[int]) -> int:
    """Copy for a while. Returns how many bytes, 0 at the end."""
    total = 0
    for size in copying:
        total += size
        if total >= _SLICE:
            break
    return total
