"""Which held chunks a missing one is most like: those that have most of its features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skerry.chunking.recipe import Numbers
from skerry.chunking.sketch import Sketch

TOP = 3

_COMMON = 32
"""A feature that more chunks of an image have says nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Likes:
    """Rows: the `rank`th best likeness of chunk `owner` is chunk `chunk` of `base`. In order of owner and
    rank.
    """

    owner: Numbers
    rank: Numbers
    base: Numbers
    chunk: Numbers


def alike(target: Sketch, wanted: Numbers, bases: Sequence[Sketch]) -> Likes:
    """Up to TOP likenesses of each of the `wanted` chunks, which are ascending."""
    features, owners = _of(target, wanted)
    columns: list[list[Numbers]] = [[np.zeros(0, np.int64)] for _ in range(4)]
    for number, sketch in enumerate(bases):
        owner, chunk, votes = _votes(features, owners, sketch)
        for column, found in zip(columns, (owner, np.full(len(owner), number), chunk, votes), strict=True):
            column.append(found)
    owner, base, chunk, votes = (np.concatenate(column) for column in columns)
    order = np.lexsort((chunk, base, -votes, owner))
    owner = owner[order]
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    best = rank < TOP
    return Likes(owner[best], rank[best], base[order][best], chunk[order][best])


def _of(sketch: Sketch, wanted: Numbers) -> tuple[NDArray[np.uint32], Numbers]:
    """The features of some chunks, each once for a chunk, and the chunks."""
    owners = sketch.owners()
    chosen = np.zeros(len(sketch.counts), np.bool_)
    chosen[wanted] = True
    mask = chosen[owners]
    pairs = np.unique(owners[mask].astype(np.uint64) << np.uint64(32) | sketch.features[mask])
    return pairs.astype(np.uint32), (pairs >> np.uint64(32)).astype(np.int64)


def _votes(features: NDArray[np.uint32], owners: Numbers, base: Sketch) -> tuple[Numbers, Numbers, Numbers]:
    """(owner, chunk of the base, how many features they share)."""
    order = np.argsort(base.features, kind="stable")
    known, holders = base.features[order], base.owners()[order]
    first = np.searchsorted(known, features, side="left")
    count = np.searchsorted(known, features, side="right") - first
    count[count > _COMMON] = 0
    total = int(count.sum())
    row = np.repeat(np.arange(len(features)), count)
    place = np.arange(total) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    pairs, votes = np.unique(owners[row] << 32 | holders[place], return_counts=True)
    return pairs >> 32, pairs & 0xFFFFFFFF, votes
