"""Where the bytes of chunks are while a file is made: in the file as they are, else in a scratch file."""

from collections.abc import Iterator

from skerry.chunking import files
from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex


class Placing:
    """Reads and writes the chunks of an image. Everything raises NoSpace or StoreFailed.

    The scratch file has what the file has only compressed, chunk behind chunk: a disk may have larger holes
    than a file can have.
    """

    def __init__(self, index: ImageIndex, fd: int, scratch: int) -> None:
        """`scratch` may be -1 when nothing is compressed."""
        self._index = index
        self._recipe = index.recipe
        self._positions = index.positions()
        self._fd = fd
        self._scratch = scratch

    def write(self, number: int, data: memoryview) -> None:
        """Write a chunk; bytes that the file does not have are left out."""
        for fd, place, start, end in self._parts(number, len(data)):
            files.write(fd, data[start:end], place)

    def read(self, number: int) -> bytearray:
        """A chunk that was written."""
        data = bytearray(int(self._index.length[number]))
        self.fill(memoryview(data), number)
        return data

    def fill(self, buffer: memoryview, number: int) -> None:
        """Fill `buffer`, which is zeros, with a chunk that was written."""
        for fd, place, start, end in self._parts(number, len(buffer)):
            files.fill(fd, buffer[start:end], place)

    def fill_from_scratch(self, number: int, within: int, buffer: memoryview) -> None:
        """Fill `buffer` with bytes of a chunk, from `within` it on, that the file has only compressed."""
        files.fill(self._scratch, buffer, int(self._positions[number]) + within)

    def copy(self, base: Held, start: int, there: int, size: int) -> None:
        """Copy from offset `there` of a held image's view what the file has as it is.

        `start` is the offset in this view. Raises WrongBytes when the held image is damaged.
        """
        theirs = base.index.recipe
        for piece, begin, end in self._recipe.pieces(start, start + size):
            if self._recipe.made[piece]:
                continue
            shift = int(self._recipe.at[piece]) - int(self._recipe.view[piece]) - there + start
            for other, first, last in theirs.pieces(begin - start + there, end - start + there):
                within = first - int(theirs.view[other])
                if theirs.made[other]:
                    part = memoryview(base.view.restored(other))[within : within + last - first]
                    files.write(self._fd, part, first + shift)
                else:
                    source = int(theirs.at[other]) + within
                    files.copy(base.view.fd, source, self._fd, first + shift, last - first)

    def _parts(self, number: int, length: int) -> Iterator[tuple[int, int, int, int]]:
        """(file, place in it, start, end) of the parts of a chunk."""
        offset = int(self._index.offset[number])
        for piece, first, last in self._recipe.pieces(offset, offset + length):
            if self._recipe.made[piece]:
                fd, place = self._scratch, int(self._positions[number]) + first - offset
            else:
                fd, place = self._fd, int(self._recipe.at[piece]) + first - int(self._recipe.view[piece])
            yield fd, place, first - offset, last - offset
