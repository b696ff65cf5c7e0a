"""The index of an image: its chunks, and the recipe that makes its file of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skerry.chunking.recipe import Numbers, Recipe
from skerry.chunking.rules import MOST
from skerry.core.errors import WrongBytes

Ids = NDArray[np.uint8]
"""A row of 32 bytes for each chunk: the SHA-256 of its bytes."""

MOST_CHUNKS = 4 << 20
"""An image that has more is fetched whole: 256 GiB of data."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """Columns with one row a chunk, in order of the view. Making one raises WrongBytes when it makes no
    sense.

    What no chunk covers is zeros. The view up to `guest_size` is the guest's disk.
    """

    sha512: bytes
    """Of the file."""
    guest_size: int
    recipe: Recipe
    offset: Numbers
    """Where the chunk begins in the view."""
    length: Numbers
    ids: Ids

    def __post_init__(self) -> None:
        count = len(self.offset)
        ends = self.offset + self.length
        sensible = (
            count <= MOST_CHUNKS
            and len(self.length) == count
            and self.ids.shape == (count, 32)
            and len(self.sha512) == 64
            and 0 <= self.guest_size <= self.recipe.view_size
            and (
                count == 0
                or bool(
                    np.all(self.length >= 1)
                    and np.all(self.length <= MOST)
                    and self.offset[0] >= 0
                    and self.offset.max() <= self.recipe.view_size
                    and np.all(ends[:-1] <= self.offset[1:])
                    and ends[-1] <= self.recipe.view_size
                )
            )
        )
        if not sensible:
            raise WrongBytes("The index of an image contradicts itself.")

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.recipe.file_size

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return len(self.offset)

    def positions(self) -> Numbers:
        """Where each chunk begins when all are put behind each other, without holes."""
        return np.cumsum(self.length) - self.length

    @property
    def data_size(self) -> int:
        """Bytes of all chunks."""
        return int(self.length.sum())

    def keys(self) -> NDArray[np.uint64]:
        """The first eight bytes of each id: enough to look one up, not to trust it."""
        return np.ascontiguousarray(self.ids[:, :8]).view(np.uint64).reshape(-1)

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """The chunks [first, last) that have bytes of this stretch of the view."""
        first = int(np.searchsorted(self.offset, start, side="right"))
        if first and self.offset[first - 1] + self.length[first - 1] > start:
            first -= 1
        return first, max(first, int(np.searchsorted(self.offset, end, side="left")))
