"""Making the compressed pieces of a file again, out of chunks that are here or in other images."""

from dataclasses import dataclass

import numpy as np

from skerry.chunking import codecs, files
from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.placing import Placing
from skerry.chunking.recipe import Flags, Numbers
from skerry.core.errors import WrongBytes


@dataclass(slots=True, eq=False)
class Places:
    """Where the bytes of each chunk are: at `offset` of the view of the image `lender`.

    `lender` is -1 where the scratch file has them, if anything has.
    """

    lender: Numbers
    offset: Numbers
    bases: list[Held]


def build(piece: int, index: ImageIndex, places: Places, placing: Placing, fd: int) -> None:
    """Make a piece and write it into the file. WrongBytes when it does not come out as long as it must.

    Where one image lends all of it, compressed in the same way, its stream is copied.
    """
    recipe = index.recipe
    start = int(recipe.view[piece])
    end = start + int(recipe.span[piece])
    first, last = index.covering(start, end)
    stream: bytes | bytearray | None = _lent_stream(piece, index, places, first, last)
    if stream is None:
        stream = codecs.known()[recipe.codec].compress(_view(index, places, placing, start, end))
    if len(stream) != recipe.length[piece]:
        raise WrongBytes("A compressed cluster did not come out the same.")
    files.write(fd, stream, int(recipe.at[piece]))


def waiting(index: ImageIndex, here: Flags) -> Flags:
    """For each piece, whether a chunk of it is not here yet."""
    recipe = index.recipe
    lacking = np.concatenate([[0], np.cumsum(~here)])
    first, last = covered(index, recipe.view, recipe.view + recipe.span)
    waits: Flags = lacking[last] > lacking[first]
    return waits


def covered(index: ImageIndex, start: Numbers, end: Numbers) -> tuple[Numbers, Numbers]:
    """`ImageIndex.covering` for many stretches."""
    ends = np.concatenate([[0], index.offset + index.length])
    before = np.searchsorted(index.offset, start, side="right")
    first = before - (ends[before] > start)
    return first, np.maximum(first, np.searchsorted(index.offset, end, side="left"))


def compressed(index: ImageIndex) -> Flags:
    """The chunks that have bytes in made pieces."""
    made = index.recipe.made
    start = index.recipe.view[made]
    first, last = covered(index, start, start + index.recipe.span[made])
    turns = np.bincount(first, minlength=index.count + 1) - np.bincount(last, minlength=index.count + 1)
    found: Flags = np.cumsum(turns)[: index.count] > 0
    return found


def _view(index: ImageIndex, places: Places, placing: Placing, start: int, end: int) -> bytearray:
    data = bytearray(end - start)
    first, last = index.covering(start, end)
    for number in range(first, last):
        offset = int(index.offset[number])
        begin, stop = max(offset, start), min(offset + int(index.length[number]), end)
        part = memoryview(data)[begin - start : stop - start]
        lender = int(places.lender[number])
        if lender < 0:
            placing.fill_from_scratch(number, begin - offset, part)
        else:
            part[:] = places.bases[lender].view.read(int(places.offset[number]) + begin - offset, len(part))
    return data


def _lent_stream(piece: int, index: ImageIndex, places: Places, first: int, last: int) -> bytearray | None:
    """The stream of a piece of another image that has the same view, hole for hole, and the same codec."""
    lenders = places.lender[first:last]
    if first == last or lenders[0] < 0 or bool(np.any(lenders != lenders[0])):
        return None
    base = places.bases[int(lenders[0])]
    shifts = places.offset[first:last] - index.offset[first:last]
    if bool(np.any(shifts != shifts[0])) or base.index.recipe.codec != index.recipe.codec:
        return None
    start = int(index.recipe.view[piece])
    span = int(index.recipe.span[piece])
    there = list(base.index.recipe.pieces(start + int(shifts[0]), start + int(shifts[0]) + span))
    recipe = base.index.recipe
    if len(there) != 1 or not recipe.made[there[0][0]] or there[0][2] - there[0][1] != span:
        return None
    found = there[0][0]
    theirs = base.index.covering(int(recipe.view[found]), int(recipe.view[found]) + span)
    if recipe.span[found] != span or theirs[1] - theirs[0] != last - first:
        return None
    return base.view.stream(found)
