"""Cuts a view into chunks: finds its holes, and leaves the rest to a rule (`rules`)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import numpy as np

from skerry.chunking.files import BLOCK
from skerry.chunking.recipe import Flags

Data = bytes | bytearray | memoryview
Emit = Callable[[int, bytearray], None]
"""Takes a chunk: its offset in the view, and its bytes, which are its own from now on."""


class Rule(Protocol):
    """Decides where chunks end between two holes."""

    def take(self, offset: int, data: memoryview) -> None:
        """The next bytes without a hole: whole blocks, but at the very end."""

    def edge(self) -> None:
        """A hole follows, or nothing: the chunk ends here."""


class Cutter:
    """Cuts what it is fed: a view in order, in pieces of any size; what is left out is a hole.

    A block of zeros at a multiple of its size is a hole, too, so that it makes no difference how zeros are
    stored.
    """

    def __init__(self, rule: Rule, size: int = BLOCK) -> None:
        self._rule = rule
        self._size = size
        self._rest = bytearray()  # less than a block
        self._next = 0  # the first byte that was not yet fed

    def feed(self, offset: int, data: Data) -> None:
        """Take the bytes of the view at `offset`, which is behind all that was fed before."""
        if offset != self._next:
            data = self._beyond_gap(offset, data)
        start = self._next - len(self._rest)
        self._next += len(data)
        if self._rest:
            missing = self._size - len(self._rest)
            self._rest += data[:missing]
            if len(self._rest) < self._size:
                return
            block, self._rest = self._rest, bytearray()
            self._blocks(start, memoryview(block))
            start, data = start + self._size, memoryview(data)[missing:]
        whole = len(data) - len(data) % self._size
        if whole:
            self._blocks(start, memoryview(data)[:whole])
        self._rest += memoryview(data)[whole:]

    def finish(self) -> None:
        """There is no more."""
        if any(self._rest):
            self._rule.take(self._next - len(self._rest), memoryview(self._rest))
        self._rest = bytearray()
        self._rule.edge()

    def _beyond_gap(self, offset: int, data: Data) -> Data:
        """Count the gap as zeros in the blocks at its edges. Returns what follows `_next` now."""
        gap = offset - self._next
        pad = min(gap, -self._next % self._size)
        if pad == gap:
            return bytes(pad) + bytes(data)
        if pad:
            self.feed(self._next, bytes(pad))
        self._rule.edge()
        lead = offset % self._size
        self._next = offset - lead
        return bytes(lead) + bytes(data) if lead else data

    def _blocks(self, offset: int, data: memoryview) -> None:
        size = self._size
        filled: Flags = np.any(np.frombuffer(data, np.uint64).reshape(-1, size // 8), axis=1)
        if filled.all():
            self._rule.take(offset, data)
            return
        turns = np.flatnonzero(np.diff(filled, prepend=not filled[0], append=not filled[-1])).tolist()
        for first, last in pairwise(turns):
            if filled[first]:
                self._rule.take(offset + first * size, data[first * size : last * size])
            else:
                self._rule.edge()
