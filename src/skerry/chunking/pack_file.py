"""The frame of a pack.

    8  magic "SKERRYPK"    4  version    4  bytes of the head
    head: msgpack, compressed with zstd; see `Head`
    chunks: one zstd frame with a prefix

All numbers are little-endian.
"""

import struct
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from skerry.chunking.recipe import Numbers
from skerry.chunking.zstandard import zstd
from skerry.core.errors import UnknownFormat, WrongBytes

START = struct.Struct("<8sII")
_MAGIC, _VERSION = b"SKERRYPK", 1
MOST_HEAD = 1 << 20
_MOST_NUMBERS = 1 << 16


class Head(msgspec.Struct, array_like=True, frozen=True):
    """What is in a pack. Indexes are named by their digests, chunks by their numbers in those.

    `chunks` are runs: the distance from the end of the run before, and how many there are. `prefix` has
    before each of its runs the number of its image in `bases`; distances begin anew with each image.
    """

    target: bytes
    bases: tuple[bytes, ...]
    chunks: tuple[int, ...]
    prefix: tuple[int, ...]


def encode_head(head: Head) -> bytes:
    """The start of the frame."""
    packed = zstd.compress(msgspec.msgpack.encode(head), 9)
    return START.pack(_MAGIC, _VERSION, len(packed)) + packed


def head_size(start: bytes) -> int:
    """Bytes of the head, from the START.size bytes before it. WrongBytes, UnknownFormat."""
    magic, version, size = START.unpack(start)
    if magic != _MAGIC or size > MOST_HEAD:
        raise WrongBytes("This is no pack.")
    if version != _VERSION:
        raise UnknownFormat(f"A pack of version {version}; {_VERSION} is known here.")
    return int(size)


def decode_head(packed: bytes) -> Head:
    """The head of a pack. Or WrongBytes."""
    try:
        data = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 20}).decompress(
            packed, MOST_HEAD
        )
        return msgspec.msgpack.decode(data, type=Head)
    except (zstd.ZstdError, msgspec.DecodeError) as error:
        raise WrongBytes("The head of a pack is damaged.") from error


def to_runs(numbers: Numbers) -> list[int]:
    """Ascending numbers as (distance, count, …)."""
    if not len(numbers):
        return []
    starts = np.flatnonzero(np.concatenate([[True], np.diff(numbers) != 1]))
    counts = np.diff(starts, append=len(numbers))
    first = numbers[starts]
    gaps = first - np.concatenate([[0], (first + counts)[:-1]])
    return [int(number) for number in np.stack((gaps, counts), axis=1).reshape(-1)]


def from_runs(runs: Sequence[int], count: int) -> Numbers:
    """Undo `to_runs`, for numbers below `count`. Or WrongBytes."""
    found, end, total = [np.zeros(0, np.int64)], 0, 0
    for gap, length in _rows(runs, 2):
        start, end = end + gap, end + gap + length
        total += length
        if gap < 0 or length < 1 or end > count or total > _MOST_NUMBERS:
            raise WrongBytes("A pack names chunks that do not exist.")
        found.append(np.arange(start, end))
    return np.concatenate(found)


def prefix_runs(base: Numbers, chunk: Numbers) -> list[int]:
    """The prefix of a `Head`, whose rows are ascending."""
    runs: list[int] = []
    for number in np.unique(base).tolist():
        part = to_runs(chunk[base == number])
        for gap, count in zip(part[::2], part[1::2], strict=True):
            runs += (number, gap, count)
    return runs


def prefix_rows(runs: Sequence[int], counts: Sequence[int]) -> list[tuple[int, Numbers]]:
    """(base, its chunks): undo `prefix_runs`, for images with so many chunks. Or WrongBytes."""
    parts: dict[int, list[int]] = {}
    for number, gap, count in _rows(runs, 3):
        parts.setdefault(number, []).extend((gap, count))
    if list(parts) != sorted(parts) or any(not 0 <= number < len(counts) for number in parts):
        raise WrongBytes("A pack names images that it does not name.")
    return [(number, from_runs(part, counts[number])) for number, part in parts.items()]


def _rows(numbers: Sequence[int], width: int) -> Iterator[Sequence[int]]:
    if len(numbers) % width:
        raise WrongBytes("The head of a pack is damaged.")
    return (numbers[start : start + width] for start in range(0, len(numbers), width))
