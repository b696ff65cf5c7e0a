"""What a reader of a format finds out about a file."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skerry.chunking.cuts import Cutter, Emit
from skerry.chunking.files import BLOCK
from skerry.chunking.recipe import Numbers, Recipe, plain
from skerry.chunking.rules import Anywhere, Blocks, Streams


class Odd(Exception):
    """A file that its reader leaves to be taken as it is, and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The view up to `guest_size` is the guest's disk, or all that there is."""

    recipe: Recipe
    guest_size: int
    cutter: Callable[[Emit], Cutter]
    """Makes what cuts the view up to `guest_size`; what is behind it is cut anywhere."""


def disk(recipe: Recipe, guest_size: int, *, block: int = BLOCK) -> Seen:
    """A disk, or whatever else has its content at multiples of a block."""
    return Seen(recipe, guest_size, lambda emit: Cutter(Blocks(emit, block), block))


def loose(size: int) -> Seen:
    """A file of which nothing is known."""
    return Seen(plain(size), size, lambda emit: Cutter(Anywhere(emit)))


def streams(size: int, ends: Numbers) -> Seen:
    """A file that is compressed in parts, which end at `ends`."""
    known = np.unique(ends)
    return Seen(plain(size), size, lambda emit: Cutter(Streams(emit, known)))
