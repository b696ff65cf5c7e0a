"""A recipe: how the file of an image is made of its view.

The file is a row of pieces with zeros between them. A piece is *plain*, bytes of the view as they are, or
*made*: bytes of the view, compressed. No two pieces share a byte, neither of the file nor of the view; so
each byte of a view has one place, or none, and then it counts for nothing.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skerry.core.errors import WrongBytes

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST_SPAN = 2 << 20
"""Bytes of the view in one made piece: the largest cluster of a qcow2."""

MOST_SIZE = 1 << 61
"""Of a file or a view, in bytes, so that sums of two stay within 64 bits."""


def most_pieces(size: int) -> int:
    """A file of `size` bytes that needs more is taken as it is; 4 Mi are 256 GiB of compressed clusters."""
    return min(4 << 20, (64 << 10) + size // 1024)


def most_made(size: int) -> int:
    """Bytes of the view in the made pieces of a file of `size` bytes; what stands for more is not made."""
    return (1 << 30) + 32 * size


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """Columns with one row a piece, in order of the file. Making one raises WrongBytes when it makes no
    sense.

    `codec` says how the made pieces are compressed (`codecs.Codec.name`); it is empty when there are none.
    """

    file_size: int
    view_size: int
    codec: str
    at: Numbers
    """Where the piece begins in the file."""
    length: Numbers
    """Bytes in the file."""
    view: Numbers
    """Where it begins in the view."""
    span: Numbers
    """Bytes of the view; as many as in the file when it is plain."""
    made: Flags
    by_view: Numbers = field(init=False)
    """Numbers of the pieces in order of the view."""
    starts: Numbers = field(init=False)
    """Where they begin in the view, in that order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_view", np.argsort(self.view, kind="stable"))
        object.__setattr__(self, "starts", self.view[self.by_view])
        if not self._sensible():
            raise WrongBytes("The recipe of an image contradicts itself.")

    def _sensible(self) -> bool:
        count = len(self.at)
        if not (0 <= self.file_size <= MOST_SIZE and 0 <= self.view_size <= MOST_SIZE):
            return False
        if count > most_pieces(self.file_size) or {
            len(self.length),
            len(self.view),
            len(self.span),
            len(self.made),
        } != {count}:
            return False
        return (
            _apart(self.at, self.length, self.file_size)
            and _apart(self.starts, self.span[self.by_view], self.view_size)
            and bool(np.all(self.made | (self.length == self.span)))
            and bool(np.all(self.span[self.made] <= MOST_SPAN))
            and bool(np.all(self.length[self.made] <= 2 * MOST_SPAN))
            and int(self.span[self.made].sum()) <= most_made(self.file_size)
            and bool(self.codec) == bool(self.made.any())
        )

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(piece, start, end) of the parts of this stretch of the view that are in the file, in order."""
        number = max(bisect_right(self.starts, start) - 1, 0)
        while number < len(self.starts) and self.starts[number] < end:
            piece = int(self.by_view[number])
            first = int(self.starts[number])
            last = first + int(self.span[piece])
            if last > start:
                yield piece, max(first, start), min(last, end)
            number += 1


def _apart(start: Numbers, length: Numbers, size: int) -> bool:
    """Whether the pieces have bytes, lie one behind the other, and within `size`."""
    if not len(start):
        return True
    if int(start[0]) < 0 or int(start.max()) > size or int(length.min()) < 1 or int(length.max()) > size:
        return False
    ends = start + length
    return bool(np.all(ends[:-1] <= start[1:])) and int(ends[-1]) <= size


def plain(size: int) -> Recipe:
    """The recipe of a file that is its own view."""
    some = size > 0
    whole, zero = np.array([size] * some, np.int64), np.zeros(int(some), np.int64)
    return Recipe(size, size, "", zero, whole, zero, whole, np.zeros(int(some), np.bool_))
