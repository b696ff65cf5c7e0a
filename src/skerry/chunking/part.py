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

    def read(self, offset: int, length: int) -> bytearray:
        """The chunk that lies there, verified. Raises WrongBytes when it is not here, or damaged."""
        number = int(np.searchsorted(self.index.offset, offset))
        if (
            number >= self.index.count
            or (self.index.offset[number], self.index.length[number]) != (offset, length)
            or not self._stored[number]
        ):
            raise WrongBytes("A chunk that was asked for is not here.")
        data = self._placing.read(number)
        if hashlib.sha256(data).digest() != self.index.ids[number].tobytes():
            raise WrongBytes("A chunk that was here is damaged.")
        return data

    def held(self, wanted: Numbers) -> tuple[Held, Numbers]:
        """The image with a sketch of those of the `wanted` chunks that are here and right, and their numbers.

        Reads all of them.
        """
        sketching, here = Sketching(), []
        for number in wanted[self._stored[wanted]].tolist():
            with suppress(WrongBytes):
                sketching.take(self.read(int(self.index.offset[number]), int(self.index.length[number])))
                here.append(number)
        found = sketching.finish()
        counts = np.zeros(self.index.count, np.uint16)
        counts[here] = found.counts
        return Held(self.name, self.index, self, Sketch(counts, found.features)), np.array(here, np.int64)

    def close(self) -> None:
        """Give the files back."""
        os.close(self.fd)
        if self._scratch >= 0:
            os.close(self._scratch)
