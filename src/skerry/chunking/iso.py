"""ISO 9660: content begins at sectors of 2 KiB. Source: ECMA-119, sections 6 and 8."""

from skerry.chunking.recipe import plain
from skerry.chunking.seen import Seen, disk

SECTOR = 2048
_VOLUME = 16 * SECTOR


def recognises(fd: int, head: bytes, size: int) -> bool:
    """Whether the first volume descriptor is where it must be."""
    return head[_VOLUME + 1 : _VOLUME + 6] == b"CD001"


def look(fd: int, head: bytes, size: int) -> Seen:
    """Cut at sectors."""
    return disk(plain(size), size, block=SECTOR)
