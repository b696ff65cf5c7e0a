"""From the clusters of a qcow2 to its recipe: what can be made again, proved cluster by cluster.

What no guest sees (header, tables, padding), and streams that do not come out the same, are plain bytes
behind the guest's disk in the view. When most streams do not come out the same, the file is its own view,
cut where they begin.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from skerry.chunking import files
from skerry.chunking.codecs import Codec, candidates, inflate
from skerry.chunking.recipe import Flags, Numbers, Recipe, most_made
from skerry.chunking.seen import Odd, Seen, disk, streams
from skerry.core.errors import WrongBytes

_TRIED = 32
"""Clusters that tell which codec it was, if any."""

_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """What the tables say. Offsets in the file and on the guest's disk; nothing of it was checked but plain
    offsets.
    """

    cluster: int
    disk_size: int
    family: str
    at: Numbers
    guest: Numbers
    """Of clusters as they are."""
    stream: Numbers
    room: Numbers
    held: Numbers
    """Of compressed clusters: where the stream begins, its length at most, and its place on the disk."""


def prove(fd: int, size: int, clusters: Clusters) -> Seen:
    """The recipe of a file of `size` bytes. Odd when clusters share bytes or are compressed beyond all
    measure.
    """
    room = np.minimum(clusters.room, size - clusters.stream)
    if bool(np.any(room < 1)) or len(room) * clusters.cluster > most_made(size):
        raise Odd("compressed clusters of a qcow2 lie outside it, or stand for too much")
    if len(np.unique(clusters.stream)) != len(room):
        raise Odd("compressed clusters of a qcow2 are used twice")
    codec = _codec(fd, clusters, room)
    used, same = np.zeros(len(room), np.int64), np.zeros(len(room), np.bool_)
    if codec is not None:
        used, same = _try_all(fd, clusters, room, codec)
    if 2 * int(same.sum()) < len(same):
        return streams(size, np.concatenate([clusters.stream, clusters.at]))
    whole = np.minimum(clusters.cluster, size - clusters.at)
    at, length, view, span = _joined(clusters.at, whole, clusters.guest)
    at = np.concatenate([at, clusters.stream[same]])
    length = np.concatenate([length, used[same]])
    view = np.concatenate([view, clusters.held[same]])
    span = np.concatenate([span, np.full(int(same.sum()), clusters.cluster)])
    made = np.arange(len(at)) >= len(at) - int(same.sum())
    order = np.argsort(at, kind="stable")
    guest_end = -(-clusters.disk_size // clusters.cluster) * clusters.cluster
    name = codec.name if codec is not None else ""
    return _with_rest(
        fd, size, guest_end, name, (at[order], length[order], view[order], span[order]), made[order]
    )


def _codec(fd: int, clusters: Clusters, room: Numbers) -> Codec | None:
    """The codec that makes most of some clusters again."""
    tried = np.unique(np.linspace(0, len(room) - 1, _TRIED).astype(np.int64)) if len(room) else room
    best, most = None, 0
    for codec in candidates(clusters.family):
        count = sum(_try(fd, clusters, room, int(number), codec)[1] for number in tried)
        if count > most:
            best, most = codec, count
    return best if 2 * most >= len(tried) else None


def _try_all(fd: int, clusters: Clusters, room: Numbers, codec: Codec) -> tuple[Numbers, Flags]:
    """The length of each stream, and whether it comes out the same."""

    def batch(first: int) -> list[tuple[int, bool]]:
        last = min(first + _BATCH, len(room))
        return [_try(fd, clusters, room, number, codec) for number in range(first, last)]

    with ThreadPoolExecutor(os.cpu_count(), "prove") as pool:
        tried = [result for some in pool.map(batch, range(0, len(room), _BATCH)) for result in some]
    return np.array([used for used, _ in tried], np.int64), np.array([same for _, same in tried], np.bool_)


def _try(fd: int, clusters: Clusters, room: Numbers, number: int, codec: Codec) -> tuple[int, bool]:
    stream = files.read(fd, int(clusters.stream[number]), int(room[number]))
    found = inflate(clusters.family, stream, clusters.cluster)
    if found is None:
        return 0, False
    data, used = found
    return used, codec.compress(data) == stream[:used]


def _joined(at: Numbers, length: Numbers, view: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Plain pieces, of which those that lie one behind the other in file and view become one."""
    if not len(at):
        return at, at, at, at
    order = np.argsort(at, kind="stable")
    at, length, view = at[order], length[order], view[order]
    follows = (at[1:] == at[:-1] + length[:-1]) & (view[1:] == view[:-1] + length[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~follows]))
    joined = np.add.reduceat(length, first)
    return at[first], joined, view[first], joined


def _with_rest(
    fd: int,
    size: int,
    guest_end: int,
    codec: str,
    pieces: tuple[Numbers, Numbers, Numbers, Numbers],
    made: Flags,
) -> Seen:
    at, length, view, span = pieces
    gaps_from = np.concatenate([[0], at + length])
    gaps_to = np.concatenate([at, [size]])
    if bool(np.any(gaps_from > gaps_to)):
        raise Odd("clusters of a qcow2 share bytes")
    found = [
        part
        for number in np.flatnonzero(gaps_from < gaps_to).tolist()
        for part in _filled(fd, int(gaps_from[number]), int(gaps_to[number]))
    ]
    rest_at = np.array([start for start, _ in found], np.int64)
    rest_length = np.array([end - start for start, end in found], np.int64)
    rest_view = guest_end + np.cumsum(rest_length) - rest_length
    order = np.argsort(np.concatenate([at, rest_at]), kind="stable")
    try:
        recipe = Recipe(
            size,
            guest_end + int(rest_length.sum()),
            codec,
            np.concatenate([at, rest_at])[order],
            np.concatenate([length, rest_length])[order],
            np.concatenate([view, rest_view])[order],
            np.concatenate([span, rest_length])[order],
            np.concatenate([made, np.zeros(len(found), np.bool_)])[order],
        )
    except WrongBytes:
        raise Odd("clusters of a qcow2 share bytes, or are too many") from None
    return disk(recipe, guest_end)


def _filled(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts between these offsets that are not zeros, to a block."""
    for first, last in files.data_runs(fd, start, end):
        for at in range(first, last, 1 << 20):
            data = files.read(fd, at, min(1 << 20, last - at))
            padded = np.frombuffer(data.ljust(-(-len(data) // files.BLOCK) * files.BLOCK, b"\0"), np.uint64)
            filled = padded.reshape(-1, files.BLOCK // 8).any(axis=1)
            turns = np.flatnonzero(np.diff(filled, prepend=False, append=False)) * files.BLOCK
            for begin, stop in turns.reshape(-1, 2).tolist():
                yield at + begin, min(at + stop, last)
