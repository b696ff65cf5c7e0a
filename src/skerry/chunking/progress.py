"""Which bytes of a file are there while it is being made, and which chunks the others are waiting for."""

import numpy as np

from skerry.chunking.index import ImageIndex
from skerry.chunking.recipe import Flags, Numbers


def ready_to(index: ImageIndex, in_file: Flags, built: Flags, offset: int, most: int | None = None) -> int:
    """The end of the bytes of the file that are right, from `offset` on; `offset` when none are.

    With `most` it is not looked much further than so many bytes.

    `in_file` are the chunks that are there as they are, `built` the compressed pieces that are.
    """
    recipe = index.recipe
    piece = max(int(np.searchsorted(recipe.at, offset, side="right")) - 1, 0)
    last_piece = len(recipe.at) if most is None else int(np.searchsorted(recipe.at, offset + most)) + 1
    while piece < len(recipe.at):
        if piece >= last_piece:
            return max(offset, int(recipe.at[piece]))
        at, view = int(recipe.at[piece]), int(recipe.view[piece])
        end = at + int(recipe.length[piece])
        if end > offset and not (recipe.made[piece] and built[piece]):
            if recipe.made[piece]:
                return max(offset, at)
            first, last = index.covering(view + max(offset - at, 0), view + end - at)
            lacking = np.flatnonzero(~in_file[first:last])
            if len(lacking):
                return max(offset, at + int(index.offset[first + lacking[0]]) - view)
        piece += 1
    return recipe.file_size


def needed(index: ImageIndex, in_file: Flags, built: Flags, offset: int, length: int) -> Numbers:
    """The chunks, ascending, without which these bytes of the file cannot be made."""
    recipe = index.recipe
    ends = recipe.at + recipe.length
    first = int(np.searchsorted(ends, offset, side="right"))
    last = int(np.searchsorted(recipe.at, offset + length, side="left"))
    wanted = np.zeros(index.count, np.bool_)
    for piece in range(first, last):
        start, end = int(recipe.view[piece]), int(recipe.view[piece] + recipe.span[piece])
        if recipe.made[piece]:
            chunks = slice(*index.covering(start, end))
            wanted[chunks] |= not built[piece]
        else:
            shift = start - int(recipe.at[piece])
            chunks = slice(*index.covering(max(start, offset + shift), min(end, offset + length + shift)))
            wanted[chunks] |= ~in_file[chunks]
    return np.flatnonzero(wanted)
