"""An image that is here, as chunks that can be read."""

from collections.abc import Sequence
from dataclasses import dataclass

from skerry.chunking.index import ImageIndex
from skerry.chunking.recipe import Numbers
from skerry.chunking.sketch import Sketch
from skerry.chunking.view import View
from skerry.core.errors import WrongBytes


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """`name` is that of the index (`core.index_name`); the sketch is there where packs are made."""

    name: str
    index: ImageIndex
    view: View
    sketch: Sketch | None = None

    def read(self, offset: int, length: int) -> bytearray:
        """Bytes of the view, or none where the image is damaged."""
        try:
            return self.view.read(offset, length)
        except WrongBytes:
            return bytearray()

    def chunk(self, number: int) -> bytearray:
        """The bytes of a chunk, not verified. Raises StoreFailed or WrongBytes."""
        return self.view.read(int(self.index.offset[number]), int(self.index.length[number]))


def joined(parts: Sequence[tuple[Held, Numbers]]) -> bytearray:
    """The bytes of some chunks behind each other, as for `Held.chunk`."""
    data = bytearray(sum(int(held.index.length[numbers].sum()) for held, numbers in parts))
    place = memoryview(data)
    for held, numbers in parts:
        offsets, lengths = held.index.offset[numbers].tolist(), held.index.length[numbers].tolist()
        for offset, length in zip(offsets, lengths, strict=True):
            held.view.fill(place[:length], offset)
            place = place[length:]
    return data
