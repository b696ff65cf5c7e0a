"""VMware's streamOptimized VMDK: a row of compressed grains, each behind a marker.

Source: VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents".
"""

import struct

import numpy as np

from skerry.chunking import files
from skerry.chunking.recipe import most_pieces
from skerry.chunking.seen import Odd, Seen, streams

_SECTOR = 512
_HEADER = struct.Struct("<4sIIQQQQIQQQ")
_MARKER = struct.Struct("<QI")
_COMPRESSED, _MARKERS = 1 << 16, 1 << 17
_MOST_GRAIN = 2 << 20
_AHEAD = 4 << 20


def recognises(fd: int, head: bytes, size: int) -> bool:
    """Whether it begins as a sparse extent."""
    return head.startswith(b"KDMV")


def look(fd: int, head: bytes, size: int) -> Seen:
    """Cut where grains end. Odd for other kinds of VMDK, and where the markers lead nowhere."""
    if len(head) < _HEADER.size:
        raise Odd("the header of a VMDK is cut off")
    flags, overhead = (_HEADER.unpack_from(head)[field] for field in (2, 10))
    if not flags & _COMPRESSED or not flags & _MARKERS:
        raise Odd("a VMDK of another kind than streamOptimized")
    at = overhead * _SECTOR
    if not 0 < at < size:
        raise Odd("the grains of a VMDK begin outside it")
    ends = [at]
    start, data = at, b""
    while at + _SECTOR <= size:
        if at + _SECTOR > start + len(data):
            start, data = at, bytes(files.read(fd, at, min(_AHEAD, size - at)))
        number, length = _MARKER.unpack_from(data, at - start)
        if length == 0:  # a table follows, of so many sectors; or the footer; or the end
            length = min(number, size // _SECTOR + 1) * _SECTOR
            at += _SECTOR + length
        elif length <= _MOST_GRAIN:
            at += -(-(_MARKER.size + length) // _SECTOR) * _SECTOR
        else:
            raise Odd("a grain of a VMDK is too large")
        ends.append(min(at, size))
        if len(ends) > most_pieces(size):
            raise Odd("a VMDK with more grains than it has room for")
    return streams(size, np.array(ends, np.int64))
