"""qcow2, versions 2 and 3: what the guest sees, through the tables. Source: qemu's docs/interop/qcow2.rst.

Its guest view and recipe are made when all that it says is simple: no other file is named, nothing is
encrypted, there is no snapshot, and each cluster of the file is used once. Everything else is Odd. Tables
are read only where they lie within the file, each once, so reading them takes no longer than reading the
file.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skerry.chunking import files, qcow2_clusters
from skerry.chunking.qcow2_clusters import Clusters
from skerry.chunking.recipe import MOST_SIZE, Numbers, most_pieces
from skerry.chunking.seen import Odd, Seen

Words = NDArray[np.uint64]

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_MORE = struct.Struct(">QQQII")
_COMPRESSION = 1 << 3
_MOST_TABLE = 32 << 20
_OFFSET = np.uint64(0x00FFFFFFFFFFFE00)
_COMPRESSED = np.uint64(1 << 62)
_ZERO = np.uint64(1)


@dataclass(frozen=True, slots=True)
class _Header:
    version: int
    cluster_bits: int
    size: int
    l1_entries: int
    l1_offset: int
    family: str


def recognises(fd: int, head: bytes, size: int) -> bool:
    """Whether it begins as a qcow2."""
    return head.startswith(b"QFI\xfb")


def look(fd: int, head: bytes, size: int) -> Seen:
    """The guest's disk and the recipe, compressed clusters tried one by one. Odd when it is not simple."""
    header = _header(head)
    return qcow2_clusters.prove(fd, size, _clusters(fd, size, header))


def _header(head: bytes) -> _Header:
    if len(head) < _HEADER.size + _MORE.size + 8:
        raise Odd("the header of a qcow2 is cut off")
    (_, version, backing, _, bits, size, encryption, l1_entries, l1_offset, _, _, snapshots, _) = (
        _HEADER.unpack_from(head)
    )
    if version not in (2, 3):
        raise Odd(f"a qcow2 of version {version}")
    features, compression = 0, 0
    if version == 3:
        features, _, _, _, length = _MORE.unpack_from(head, _HEADER.size)
        if features & _COMPRESSION and length > 104:
            compression = head[104]
    if backing or encryption or snapshots or features & ~_COMPRESSION or compression > 1:
        raise Odd("a qcow2 with a backing file, encryption, snapshots, or features that are not known")
    if not 12 <= bits <= 21 or size > MOST_SIZE:
        raise Odd("a qcow2 with clusters smaller than blocks, or an impossible size")
    return _Header(version, bits, size, l1_entries, l1_offset, ("zlib", "zstd")[compression])


def _clusters(fd: int, size: int, header: _Header) -> Clusters:
    bits, cluster = header.cluster_bits, 1 << header.cluster_bits
    found: list[Words] = [np.zeros(0, np.uint64)]
    numbers: list[Numbers] = [np.zeros(0, np.int64)]
    count = 0
    for number, table in _tables(fd, size, header):
        words = np.frombuffer(files.read(fd, table, cluster), ">u8").astype(np.uint64)
        used = np.flatnonzero(words)
        found.append(words[used])
        numbers.append(used + number * (cluster // 8))
        count += len(used)
        if count > most_pieces(size):
            raise Odd("a qcow2 with more clusters than it has room for")
    entries, guest = np.concatenate(found), np.concatenate(numbers) << bits
    inside = guest < header.size
    entries, guest = entries[inside], guest[inside]
    packed = (entries & _COMPRESSED) != 0
    at = (entries & _OFFSET).astype(np.int64)
    plain = ~packed & (at != 0)
    if header.version == 3:
        plain &= (entries & _ZERO) == 0
    if bool(np.any(at[plain] % cluster)) or bool(np.any(at[plain] >= size)):
        raise Odd("clusters of a qcow2 lie outside it")
    stream, room = _descriptors(entries[packed], bits)
    return Clusters(cluster, header.size, header.family, at[plain], guest[plain], stream, room, guest[packed])


def _tables(fd: int, size: int, header: _Header) -> list[tuple[int, int]]:
    """(number, offset) of all L2 tables."""
    cluster = 1 << header.cluster_bits
    covered = cluster * cluster // 8
    needed = -(-header.size // covered)
    length = 8 * header.l1_entries
    if needed > header.l1_entries or length > _MOST_TABLE or header.l1_offset + length > size:
        raise Odd("the L1 table of a qcow2 is too small, too large or outside it")
    l1 = np.frombuffer(files.read(fd, header.l1_offset, 8 * needed), ">u8").astype(np.uint64) & _OFFSET
    numbers = np.flatnonzero(l1)
    offsets = l1[numbers].astype(np.int64)
    if bool(np.any(offsets % cluster)) or bool(np.any(offsets + cluster > size)):
        raise Odd("L2 tables of a qcow2 lie outside it")
    if len(np.unique(offsets)) != len(offsets):
        raise Odd("L2 tables of a qcow2 are used twice")
    return list(zip(numbers.tolist(), offsets.tolist(), strict=True))


def _descriptors(entries: Words, bits: int) -> tuple[Numbers, Numbers]:
    """(offset, bytes up to the end of the last sector) of compressed clusters."""
    shift = np.uint64(62 - (bits - 8))
    offset = (entries & ((np.uint64(1) << shift) - np.uint64(1))).astype(np.int64)
    sectors = ((entries & (_COMPRESSED - np.uint64(1))) >> shift).astype(np.int64)
    return offset, (sectors + 1) * 512 - offset % 512
