"""Packs for other sites, made as they are sent."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import numpy as np

from skerry.chunking import pack_file
from skerry.chunking.held import Held
from skerry.chunking.pack_stream import END, Order, framed
from skerry.chunking.packing import Pack, divide
from skerry.chunking.packs import pack
from skerry.core.errors import Busy, Conflict, InvalidInput, NotFound, WrongBytes
from skerry.transfer.holdings import Holdings
from skerry.transfer.packed import Packed

log = logging.getLogger(__name__)

_AT_ONCE = 2
"""Packs that are made at the same time: each takes up to 100 MB of memory."""

_MOST_ORDERS = 32
"""Orders that are under way at the same time; who comes then is asked to come again."""

_RETRY = 2.0


class PackMaker:
    """Makes packs of the images that are whole here, or takes those that it has made before from `packed`."""

    def __init__(self, holdings: Holdings, packed: Packed) -> None:
        self._holdings = holdings
        self._packed = packed
        self._threads = ThreadPoolExecutor(_AT_ONCE, "pack")
        self._orders = 0
        self.made = 0
        self.again = 0
        """Packs since the start that were made, and that had been made before."""

    def close(self) -> None:
        """Make no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def packs(self, image_id: str, order: Order) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """What an order asks for, piece by piece; one pack is made while the one before it is sent.

        Raises Busy; NotFound when the image is not whole here or has no index yet; Conflict when it has
        another index; InvalidInput when the order names chunks that do not exist.
        """
        if self._orders >= _MOST_ORDERS:
            raise Busy("This site makes all the packs that it can.", retry_after=_RETRY)
        self._orders += 1
        opened = self._opened(image_id, order)
        loop = asyncio.get_running_loop()
        try:
            work = await loop.run_in_executor(self._threads, opened.__enter__)
            try:
                stream = self._stream(work, order)
                yield stream
                await stream.aclose()
            finally:
                await loop.run_in_executor(None, opened.__exit__, None, None, None)
        finally:
            self._orders -= 1

    async def _stream(self, work: "_Work", order: Order) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        coming: asyncio.Future[bytes] | None = None
        try:
            for contents in work.packs:
                ready, coming = coming, loop.run_in_executor(self._threads, self._make, work, contents, order)
                if ready is not None:
                    for piece in framed(await ready):
                        yield piece
            if coming is not None:
                for piece in framed(await coming):
                    yield piece
            yield END
        finally:
            if coming is not None:
                await asyncio.wait([coming])

    @contextmanager
    def _opened(self, image_id: str, order: Order) -> Iterator["_Work"]:
        names = self._holdings.names()
        name = names.get(image_id)
        if name is None:
            raise NotFound(f"Image {image_id} has no index here.", image=image_id)
        if name != order.index.hex():
            raise Conflict(f"Image {image_id} has another index here.", image=image_id)
        ids = {name: other for other, name in names.items()}
        wanted = [ids[base.hex()] for base in order.bases if base.hex() in ids]
        with self._holdings.open([image_id, *wanted], sketches=True) as held:
            if not held or held[0].name != name:
                raise NotFound(f"Image {image_id} has no index here.", image=image_id)
            yield _Work(held[0], held[1:], order)

    def _make(self, work: "_Work", contents: Pack, order: Order) -> bytes:
        key = work.key(contents, order)
        if (found := self._packed.get(key)) is not None:
            self.again += 1
            return found
        data = pack(contents, work.target, work.bases, order.effort)
        self._packed.put(key, data)
        self.made += 1
        return data


class _Work:
    """The images of an order, and its packs."""

    def __init__(self, target: Held, bases: Sequence[Held], order: Order) -> None:
        try:
            wanted = pack_file.from_runs(order.chunks, target.index.count)
        except WrongBytes as error:
            raise InvalidInput(error.message) from None
        self.target, self.bases = target, bases
        known = [(held.index, held.sketch) for held in (target, *bases) if held.sketch is not None]
        self.packs = divide(known[0], wanted, known[1:])

    def key(self, contents: Pack, order: Order) -> str:
        """What a pack is known again by."""
        digest = hashlib.sha256(bytes.fromhex(self.target.name) + order.effort.value.encode())
        for base in np.unique(contents.base).tolist():
            digest.update(bytes.fromhex(self.bases[base].name))
        for column in (contents.chunks, contents.base, contents.chunk):
            digest.update(b"|" + column.tobytes())
        return digest.hexdigest()
