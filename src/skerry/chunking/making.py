"""Making the index of an image, and its sketch in the same pass."""

import hashlib

import numpy as np

from skerry.chunking import guest
from skerry.chunking.cuts import Cutter
from skerry.chunking.held import Held
from skerry.chunking.index import Ids, ImageIndex
from skerry.chunking.recipe import Numbers, plain
from skerry.chunking.rules import Anywhere, Blocks
from skerry.chunking.sketch import Sketch, Sketching
from skerry.chunking.view import View


class Chunks:
    """Gathers the rows of an index, chunk by chunk."""

    def __init__(self, sketching: Sketching | None = None) -> None:
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        self._ids = bytearray()
        self._sketching = sketching

    def take(self, offset: int, data: bytearray) -> None:
        """The next chunk."""
        self._offsets.append(offset)
        self._lengths.append(len(data))
        self._ids += hashlib.sha256(data).digest()
        if self._sketching is not None:
            self._sketching.take(data)

    def rows(self) -> tuple[Numbers, Numbers, Ids]:
        """Offsets, lengths and ids of all chunks so far."""
        ids = np.frombuffer(bytes(self._ids), np.uint8).reshape(-1, 32)
        return np.array(self._offsets, np.int64), np.array(self._lengths, np.int64), ids


def index_file(fd: int, sha512: bytes) -> ImageIndex:
    """The index of the image in a file whose digest is known. Raises as `guest.look`."""
    return _make(fd, sha512, None)


def index_and_sketch(fd: int, sha512: bytes) -> tuple[ImageIndex, Sketch]:
    """Both of an image, in one pass. Raises as `guest.look`."""
    sketching = Sketching()
    index = _make(fd, sha512, sketching)
    return index, sketching.finish()


def sketch_of(held: Held) -> Sketch:
    """The sketch of an image whose index came from another site. Raises StoreFailed or WrongBytes."""
    sketching = Sketching()
    for number in range(held.index.count):
        sketching.take(held.chunk(number))
    return sketching.finish()


class Streaming:
    """Makes the index of a raw image in the pass that takes its bytes in."""

    def __init__(self) -> None:
        self._chunks = Chunks()
        self._cutter: Cutter | None = None
        self._head = bytearray()
        self._size = 0
        self._later = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        if self._cutter is None and not self._later:
            self._head += data
            if len(self._head) < guest.HEAD:
                return
            data = self._begin()
        if self._cutter is not None:
            self._cutter.feed(self._size, data)
        self._size += len(data)

    def finish(self, sha512: bytes) -> ImageIndex | None:
        """The index; None when it can only be made of the whole file, by `index_file`."""
        if self._cutter is None and not self._later:
            self.feed(self._begin())
        if self._cutter is None or self._size % guest.SECTOR:
            return None
        self._cutter.finish()
        return ImageIndex(sha512, self._size, plain(self._size), *self._chunks.rows())

    def _begin(self) -> bytes:
        head, self._head = bytes(self._head), bytearray()
        block = guest.block_of_stream(head)
        self._later = block is None
        self._cutter = None if block is None else Cutter(Blocks(self._chunks.take, block), block)
        return head


def _make(fd: int, sha512: bytes, sketching: Sketching | None) -> ImageIndex:
    seen = guest.look(fd)
    chunks = Chunks(sketching)
    first, rest = seen.cutter(chunks.take), Cutter(Anywhere(chunks.take))
    split = False
    for offset, data in View(fd, seen.recipe).blocks():
        if offset >= seen.guest_size and not split:
            first.finish()
            split = True
        (rest if split else first).feed(offset, data)
    (rest if split else first).finish()
    return ImageIndex(sha512, seen.guest_size, seen.recipe, *chunks.rows())
