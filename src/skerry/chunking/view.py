"""Reading the view of an image out of its file."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Lock

from skerry.chunking import codecs, files
from skerry.chunking.recipe import Recipe

AT_ONCE = 1 << 20
"""Bytes handed out together, at most."""

_KEPT = 16
"""Made pieces kept in memory: chunks are smaller than clusters, and are asked for in order."""


class View:
    """The view of the file `fd`, which stays the caller's. Threads may read at the same time.

    What is read was not verified: its caller knows ids, or the digest of the file.
    """

    def __init__(self, fd: int, recipe: Recipe) -> None:
        self.fd = fd
        self.recipe = recipe
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def read(self, offset: int, length: int) -> bytearray:
        """Bytes of the view; zeros where no piece is. StoreFailed or WrongBytes when the file is damaged."""
        data = bytearray(length)
        self.fill(memoryview(data), offset)
        return data

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer`, which is zeros, with the bytes from `offset` on. Raises as `read`."""
        for piece, start, end in self.recipe.pieces(offset, offset + len(buffer)):
            part = buffer[start - offset : end - offset]
            within = start - int(self.recipe.view[piece])
            if self.recipe.made[piece]:
                part[:] = self.restored(piece)[within : within + len(part)]
            else:
                files.fill(self.fd, part, int(self.recipe.at[piece]) + within)

    def stream(self, piece: int) -> bytearray:
        """The bytes of a piece as they are in the file."""
        return files.read(self.fd, int(self.recipe.at[piece]), int(self.recipe.length[piece]))

    def restored(self, piece: int) -> bytes:
        """The view's bytes of a made piece."""
        with self._lock:
            if (kept := self._kept.get(piece)) is not None:
                self._kept.move_to_end(piece)
                return kept
        data = codecs.restore(self.recipe.codec, self.stream(piece), int(self.recipe.span[piece]))
        with self._lock:
            self._kept[piece] = data
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return data

    def blocks(self) -> Iterator[tuple[int, bytes | bytearray]]:
        """(offset, bytes) of all of the view but the holes of a sparse file, in order.

        What is compressed is restored ahead on as many threads as there are processors.
        """
        recipe = self.recipe
        threads = os.cpu_count() or 1
        with ThreadPoolExecutor(threads, "view") as pool:
            ahead: OrderedDict[int, Future[bytes]] = OrderedDict()
            coming = (int(piece) for piece in recipe.by_view if recipe.made[piece])
            for number in recipe.by_view:
                piece = int(number)
                if not recipe.made[piece]:
                    yield from self._plain(piece)
                    continue
                for following in islice(coming, 4 * threads - len(ahead)):
                    ahead[following] = pool.submit(self.restored, following)
                yield int(recipe.view[piece]), ahead.pop(piece).result()

    def _plain(self, piece: int) -> Iterator[tuple[int, bytearray]]:
        """A plain piece without its holes, whose edges are moved out to multiples of BLOCK in the view."""
        at, length, view = (
            int(column[piece]) for column in (self.recipe.at, self.recipe.length, self.recipe.view)
        )
        done = 0
        for start, end in files.data_runs(self.fd, at, at + length):
            first = max((view + start - at) // files.BLOCK * files.BLOCK - view, done)
            last = min(-(-(view + end - at) // files.BLOCK) * files.BLOCK - view, length)
            for done in range(first, last, AT_ONCE):
                yield view + done, files.read(self.fd, at + done, min(AT_ONCE, last - done))
            done = max(last, first)
