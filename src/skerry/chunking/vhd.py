"""Microsoft's VHD: a disk and a footer of one sector, or blocks behind tables, at any sector.

Source: Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format".
"""

import struct

from skerry.chunking import files
from skerry.chunking.recipe import plain
from skerry.chunking.seen import Seen, disk, loose

_SECTOR = 512
_COOKIE = b"conectix"
_FIXED = 2


def recognises(fd: int, head: bytes, size: int) -> bool:
    """Whether the last sector, or a copy of it at the start, is a footer."""
    return head.startswith(_COOKIE) or _footer(fd, size).startswith(_COOKIE)


def look(fd: int, head: bytes, size: int) -> Seen:
    """A fixed disk is cut as a disk, so it shares its chunks with raw; the blocks of others lie at odd
    places.
    """
    kind = struct.unpack_from(">I", _footer(fd, size).ljust(64, b"\0"), 60)[0]
    if kind == _FIXED and not head.startswith(_COOKIE):
        return disk(plain(size), size)
    return loose(size)


def _footer(fd: int, size: int) -> bytes:
    return bytes(files.read(fd, size - _SECTOR, _SECTOR)) if size >= 2 * _SECTOR else b""
