"""A sketch of an image: features of each of its chunks, by which similar ones are found.

The file of a sketch, all numbers little-endian:

    8  magic "SKERRYSK"    4  version    4  number of chunks    8  number of features
    2 bytes for each chunk: how many features it has
    4 bytes for each feature, chunk by chunk
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skerry.chunking.index import MOST_CHUNKS
from skerry.chunking.samples import samples
from skerry.core.errors import UnknownFormat, WrongBytes

MOST_FEATURES = 512
"""Of a chunk: the lowest, where a pattern that repeats itself gives more."""

_MAGIC, _VERSION = b"SKERRYSK", 1
_HEAD = struct.Struct("<8sIIQ")


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """`features` of all chunks in order, `counts[n]` of them those of chunk n. WrongBytes when that is not
    so.
    """

    counts: NDArray[np.uint16]
    features: NDArray[np.uint32]

    def __post_init__(self) -> None:
        if int(self.counts.sum(dtype=np.int64)) != len(self.features):
            raise WrongBytes("The sketch of an image contradicts itself.")

    def owners(self) -> NDArray[np.int64]:
        """The number of the chunk that each feature belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


class Sketching:
    """Makes a sketch, chunk by chunk."""

    def __init__(self) -> None:
        self._found: list[NDArray[np.uint32]] = []

    def take(self, data: bytes | bytearray) -> None:
        """The next chunk."""
        features = samples(data)[1]
        if len(features) > MOST_FEATURES:
            features = np.unique(features)[:MOST_FEATURES]
        self._found.append(features)

    def finish(self) -> Sketch:
        """The sketch of all chunks."""
        counts = np.array([len(features) for features in self._found], np.uint16)
        return Sketch(counts, np.concatenate([np.zeros(0, np.uint32), *self._found]))


def encode(sketch: Sketch) -> bytes:
    """The file of a sketch."""
    head = _HEAD.pack(_MAGIC, _VERSION, len(sketch.counts), len(sketch.features))
    return head + sketch.counts.astype("<u2").tobytes() + sketch.features.astype("<u4").tobytes()


def decode(data: bytes) -> Sketch:
    """The sketch of a file. UnknownFormat when it is of another version, WrongBytes when it is damaged."""
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        raise WrongBytes("This is no sketch of an image.")
    _, version, chunks, features = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise UnknownFormat(f"A sketch of version {version}; {_VERSION} is known here.")
    if chunks > MOST_CHUNKS or len(data) != _HEAD.size + 2 * chunks + 4 * features:
        raise WrongBytes("The sketch of an image is damaged.")
    counts = np.frombuffer(data, "<u2", chunks, _HEAD.size)
    return Sketch(counts, np.frombuffer(data, "<u4", features, _HEAD.size + 2 * chunks))
