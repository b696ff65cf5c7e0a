"""Where the bytes of a view are while its file is made: in the file as they are, else in a scratch file."""

from skerry.chunking import files
from skerry.chunking.held import Held
from skerry.chunking.recipe import Recipe


class Placing:
    """Reads and writes a view by its offsets. Everything raises NoSpace or StoreFailed."""

    def __init__(self, recipe: Recipe, fd: int, scratch: int) -> None:
        """`scratch` is used for what the file has only compressed; without such a thing it may be -1."""
        self._recipe = recipe
        self._fd = fd
        self._scratch = scratch

    def write(self, offset: int, data: memoryview) -> None:
        """Write bytes of the view; those that the file does not have are left out."""
        for piece, start, end in self._recipe.pieces(offset, offset + len(data)):
            fd, place = self._place(piece, start)
            files.write(fd, data[start - offset : end - offset], place)

    def read(self, offset: int, length: int) -> bytearray:
        """Bytes that were written."""
        data = bytearray(length)
        for piece, start, end in self._recipe.pieces(offset, offset + length):
            fd, place = self._place(piece, start)
            files.fill(fd, memoryview(data)[start - offset : end - offset], place)
        return data

    def copy(self, base: Held, start: int, there: int, size: int) -> None:
        """Copy from offset `there` of a held image's view what the file has as it is."""
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

    def _place(self, piece: int, offset: int) -> tuple[int, int]:
        if self._recipe.made[piece]:
            return self._scratch, offset
        return self._fd, int(self._recipe.at[piece]) + offset - int(self._recipe.view[piece])
