"""An image that is being made, as far as it is: its chunks can be read while the others come."""

import hashlib
import os
from contextlib import suppress

import numpy as np

from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.placing import Placing
from skerry.chunking.recipe import Flags, Numbers
from skerry.chunking.sketch import Sketch, Sketching
from skerry.chunking.view import View
from skerry.core.errors import WrongBytes


class Part(View):
    """The view of an image of which `stored` chunks are here; nothing but whole chunks is read of it.

    Has files of its own, so it can be read on any thread, also when the assembly has ended, until `close`.
    """

    def __init__(self, name: str, index: ImageIndex, fd: int, scratch: int, stored: Flags) -> None:
        """`stored` may change meanwhile. `scratch` may be -1, as for Placing."""
        super().__init__(os.dup(fd), index.recipe)
        self._scratch = os.dup(scratch) if scratch >= 0 else -1
        self.name = name
        self.index = index
        self._stored = stored
        self._placing = Placing(index, self.fd, self._scratch)

    def fill(self, buffer: memoryview, offset: int) -> None:
        """The chunk that lies there, not verified. Raises WrongBytes when it is not here."""
        number = int(np.searchsorted(self.index.offset, offset))
        if (
            number >= self.index.count
            or (self.index.offset[number], self.index.length[number]) != (offset, len(buffer))
            or not self._stored[number]
        ):
            raise WrongBytes("A chunk that was asked for is not here.")
        self._placing.fill(buffer, number)

    def held(self, wanted: Numbers) -> tuple[Held, Numbers]:
        """See `sketched`, of the `wanted` chunks that are here."""
        return sketched(Held(self.name, self.index, self), wanted[self._stored[wanted]])

    def close(self) -> None:
        """Give the files back."""
        os.close(self.fd)
        if self._scratch >= 0:
            os.close(self._scratch)


def sketched(held: Held, wanted: Numbers) -> tuple[Held, Numbers]:
    """The image with a sketch of some chunks, and the numbers of those that are right. Reads all of them."""
    index, sketching, here = held.index, Sketching(), []
    for number in wanted.tolist():
        with suppress(WrongBytes):
            data = held.chunk(number)
            if hashlib.sha256(data).digest() == index.ids[number].tobytes():
                sketching.take(data)
                here.append(number)
    found = sketching.finish()
    counts = np.zeros(index.count, np.uint16)
    counts[here] = found.counts
    return Held(held.name, index, held.view, Sketch(counts, found.features)), np.array(here, np.int64)
