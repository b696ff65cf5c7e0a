"""Chunks in blocks: what sources are asked for, and what is lacking of it."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

ORDER = 32 << 20
_SMALLEST, _LARGEST = 256 << 10, 4 << 20
_PARTS = 64
"""Blocks are about a 64th of what is missing, within these bytes, so that several sources have something to
share; an ORDER is a number of whole blocks."""


class Blocks:
    """Missing chunks that follow each other, some megabytes in each block; blocks are in order of the image.

    `size` is in bytes of chunks, `left` what is lacking of it; `per_order` blocks are an ORDER.
    """

    def __init__(self, sizes: Numbers, missing: Numbers) -> None:
        """`sizes` are those of all chunks of the image, `missing` the numbers of some, ascending."""
        own = sizes[missing].astype(np.int64)
        block, total = _SMALLEST, int(own.sum())
        while block < _LARGEST and block * _PARTS < total:
            block *= 2
        self.per_order = ORDER // block
        number = (np.cumsum(own) - own) // block
        turns = np.flatnonzero(np.diff(number, prepend=-1)) if len(own) else number
        self.missing = missing
        self._own = own
        self._first = np.append(turns, len(own))
        self._lacking = np.ones(len(own), np.bool_)
        self._block = np.repeat(np.arange(len(turns)), np.diff(self._first))
        self._place = np.full(len(sizes), -1, np.int64)
        self._place[missing] = np.arange(len(missing))
        self.size: Numbers = np.bincount(self._block, weights=own, minlength=len(turns)).astype(np.int64)
        self.left = self.size.copy()

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.size)

    def lacking(self) -> Flags:
        """The blocks of which something is lacking."""
        found: Flags = self.left > 0
        return found

    def take(self, chunk: int) -> int:
        """A chunk has come; its bytes, or 0 when it was not lacking."""
        place = int(self._place[chunk]) if 0 <= chunk < len(self._place) else -1
        if place < 0 or not self._lacking[place]:
            return 0
        self._lacking[place] = False
        size = int(self._own[place])
        self.left[self._block[place]] -= size
        return size

    def within(self, chunks: Flags) -> Flags:
        """The blocks of which all chunks that are lacking are among these."""
        absent = self._lacking & ~chunks[self.missing]
        found: Flags = np.bincount(self._block[absent], minlength=self.count) == 0
        return found

    def touched(self, chunks: Flags) -> Flags:
        """The blocks of which a chunk that is lacking is among these."""
        wanted = self._lacking & chunks[self.missing]
        found: Flags = np.bincount(self._block[wanted], minlength=self.count) > 0
        return found

    def blocks(self, chunks: Numbers) -> Numbers:
        """The block that each of some missing chunks is in."""
        found: Numbers = self._block[self._place[chunks]]
        return found

    def bytes_of(self, chunks: Numbers) -> int:
        """Bytes of some missing chunks."""
        return int(self._own[self._place[chunks]].sum())

    def still(self, chunks: Numbers) -> Numbers:
        """Those of some chunks that are lacking."""
        places = self._place[chunks]
        found: Numbers = chunks[(places >= 0) & self._lacking[places]] if len(self._lacking) else chunks[:0]
        return found

    def chunks(self, first: int, last: int) -> Numbers:
        """The chunks of the blocks [first, last) that are lacking, ascending."""
        span = slice(int(self._first[first]), int(self._first[last]))
        found: Numbers = self.missing[span][self._lacking[span]]
        return found
