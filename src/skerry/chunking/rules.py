"""Where chunks end, decided by content alone: equal content is cut alike wherever it lies.

A chunk has 16 to 256 KiB, 64 on average, and fewer at the edge of a hole.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from skerry.chunking.cuts import Emit
from skerry.chunking.files import BLOCK
from skerry.chunking.samples import WINDOW, samples

LEAST, MEAN, MOST = 16 << 10, 64 << 10, 256 << 10


class Blocks:
    """A chunk ends after a block whose hash (xxh3_64) is low. For disks, and with 2 KiB for ISO 9660.

    File systems put files at the edges of blocks, so a file that has moved has moved by whole blocks.
    """

    def __init__(self, emit: Emit, size: int = BLOCK) -> None:
        self._emit = emit
        self._size = size
        self._low = (1 << 64) * size // (MEAN - LEAST)
        self._chunk = bytearray()
        self._start = 0

    def take(self, offset: int, data: memoryview) -> None:
        """Whole blocks, and the rest of one at the very end."""
        size, low, chunk = self._size, self._low, self._chunk
        if not chunk:
            self._start = offset
        for start in range(0, len(data), size):
            block = data[start : start + size]
            chunk += block
            length = len(chunk)
            if length >= LEAST and (length >= MOST or xxh3_64_intdigest(block) < low):
                self.edge()
                chunk, self._start = self._chunk, offset + start + size

    def edge(self) -> None:
        """The chunk ends here."""
        chunk, self._chunk = self._chunk, bytearray()
        if chunk:
            self._emit(self._start, chunk)


class _Gathered:
    """What is not yet cut, for the rules that look at more than a block at a time."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._held = bytearray()
        self._start = 0  # of what is held, in the view

    def edge(self) -> None:
        """The chunk ends here."""
        self._cut([len(self._held)])

    def _cut(self, ends: Sequence[int]) -> None:
        """End chunks at these places of what is held, in order, and where one would become too large."""
        done = 0
        for end in ends:
            while end - done > MOST:
                done = self._give(done, done + MOST)
            if end > done:
                done = self._give(done, end)
        self._start += done
        del self._held[:done]

    def _give(self, start: int, end: int) -> int:
        self._emit(self._start + start, self._held[start:end])
        return end


class Anywhere(_Gathered):
    """A chunk ends behind a sample of which one in 32 is chosen. For bytes that may have moved by any
    distance.
    """

    def take(self, offset: int, data: memoryview) -> None:
        """Any bytes."""
        if not self._held:
            self._start = offset
        seen = max(len(self._held) - WINDOW + 1, 0)
        self._held += data
        places, features = samples(memoryview(self._held)[seen:])
        ends, done = [], 0
        for end in (places[features < _CHOSEN] + (seen + WINDOW)).tolist():
            done += (end - done - 1) // MOST * MOST
            if end - done >= LEAST:
                ends.append(done := end)
        full = (len(self._held) - done) // MOST
        self._cut([*ends, done + full * MOST] if full else ends)


class Streams(_Gathered):
    """A chunk ends only where a stream does, of those that are low by their hash. For what is compressed in
    parts.

    What is between two streams counts as one. A part that has not changed is the same stream, so it is found.
    """

    def __init__(self, emit: Emit, ends: NDArray[np.int64]) -> None:
        """`ends` are offsets in the view, ascending."""
        super().__init__(emit)
        self._ends = ends
        self._unit = 0  # where the stream under way begins in what is held
        self._long = False  # whether its beginning is a chunk, because it is larger than one

    def take(self, offset: int, data: memoryview) -> None:
        """Any bytes."""
        if not self._held:
            self._start = offset
        old = self._start + len(self._held)
        self._held += data
        first, last = np.searchsorted(self._ends, (old, old + len(data)), side="right")
        cuts, done = [], 0
        for end in (self._ends[first:last] - self._start).tolist():
            low = xxh3_64_intdigest(memoryview(self._held)[self._unit : end]) < 1 << 63
            if end - done > MOST and self._unit > done:
                cuts.append(done := self._unit)
            if self._long or end - done > MOST or (end - done >= LEAST and low):
                cuts.append(done := end)
            self._unit, self._long = end, False
        if len(self._held) - done >= MOST:
            if self._unit > done:
                cuts.append(done := self._unit)
            if full := (len(self._held) - done) // MOST:
                cuts.append(done := done + full * MOST)
                self._unit, self._long = done, True
        self._cut(cuts)
        self._unit -= done

    def edge(self) -> None:
        """The chunk ends here."""
        super().edge()
        self._unit, self._long = 0, False


_CHOSEN = np.uint32(1 << 27)
