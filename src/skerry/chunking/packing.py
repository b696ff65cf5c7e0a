"""Which missing chunks travel together, and with which held ones as their prefix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skerry.chunking.index import ImageIndex
from skerry.chunking.likeness import TOP, Likes, alike
from skerry.chunking.recipe import Numbers
from skerry.chunking.rules import MOST
from skerry.chunking.sketch import Sketch

SMALL, LARGE = 4 << 20, (32 << 20) - MOST
"""Bytes of chunks in a pack, before its last: with likenesses, and where there are few. A window of 32 MiB
has room for all.
"""

MOST_PREFIX = 16 << 20

_FEW = 1 / 8


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """Numbers of chunks, and for each chunk of the prefix the number of its image and its own, both
    ascending.
    """

    chunks: Numbers
    base: Numbers
    chunk: Numbers


def divide(
    target: tuple[ImageIndex, Sketch], wanted: Numbers, bases: Sequence[tuple[ImageIndex, Sketch]]
) -> list[Pack]:
    """Packs of the `wanted` chunks, which are ascending, for who holds the `bases`."""
    index, sketch = target
    likes = alike(sketch, wanted, _distinct(bases))
    sizes = index.length[wanted]
    liked = int(index.length[np.unique(likes.owner)].sum())
    size = SMALL if liked > _FEW * int(sizes.sum()) else LARGE
    turns = np.flatnonzero(np.diff((np.cumsum(sizes) - sizes) // size)) + 1
    lengths = [base.length for base, _ in bases]
    return [
        Pack(chunks, *_prefix(likes, chunks, lengths)) for chunks in np.split(wanted, turns) if len(chunks)
    ]


def _distinct(bases: Sequence[tuple[ImageIndex, Sketch]]) -> list[Sketch]:
    """The sketches without the chunks that an earlier base has, or the same one earlier: once is enough."""
    keys = np.concatenate([np.zeros(0, np.uint64), *(index.keys() for index, _ in bases)])
    new = np.zeros(len(keys), np.bool_)
    new[np.unique(keys, return_index=True)[1]] = True
    found, start = [], 0
    for index, sketch in bases:
        own = new[start : start + index.count]
        start += index.count
        found.append(Sketch(sketch.counts * own.astype(np.uint16), sketch.features[own[sketch.owners()]]))
    return found


def _prefix(likes: Likes, chunks: Numbers, lengths: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """(base, chunk) of the prefix: the best likeness of each, then the next best, while there is room."""
    first, last = np.searchsorted(likes.owner, (chunks[0], chunks[-1] + 1))
    rank, base, chunk = (column[first:last] for column in (likes.rank, likes.base, likes.chunk))
    chosen: set[tuple[int, int]] = set()
    room = MOST_PREFIX
    for turn in range(TOP):
        for pair in zip(base[rank == turn].tolist(), chunk[rank == turn].tolist(), strict=True):
            size = int(lengths[pair[0]][pair[1]])
            if pair not in chosen and size <= room:
                chosen.add(pair)
                room -= size
    rows = np.array(sorted(chosen), np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]
