"""What an image is, by its first and last bytes, and how its view is cut.

The bytes decide, not what somebody says that they are: a wrong guess costs bytes on the line, never right
ones. No path that is named in an image is ever followed.
"""

import logging
import os
from collections.abc import Callable

from skerry.chunking import files, iso, qcow2, vhd, vmdk
from skerry.chunking.recipe import plain
from skerry.chunking.seen import Odd, Seen, disk, loose

log = logging.getLogger(__name__)

SECTOR = 512
HEAD = 64 << 10
"""Bytes that tell a format, but for footers."""

_OTHERS = (
    b"vhdxfile",
    b"\x1f\x8b",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"KDMV",
    b"conectix",
    b"QFI\xfb",
)
"""How files begin that are no disk as it is: what is known of them is below, the rest is taken as it is."""

_Recognises = Callable[[int, bytes, int], bool]
_Look = Callable[[int, bytes, int], Seen]
_READERS: tuple[tuple[str, _Recognises, _Look], ...] = (
    ("qcow2", qcow2.recognises, qcow2.look),
    ("vmdk", vmdk.recognises, vmdk.look),
    ("iso", iso.recognises, iso.look),
    ("vhd", vhd.recognises, vhd.look),
)


def look(fd: int) -> Seen:
    """Find out about a file. Takes time and memory in proportion to it, whatever it says about itself.

    Compressed clusters are made again for a try, on all processors: 40 MB of guest data a second and
    processor. Raises StoreFailed, or WrongBytes when the file shrinks meanwhile.
    """
    size = os.fstat(fd).st_size
    head = bytes(files.read(fd, 0, min(size, HEAD)))
    for name, recognises, read in _READERS:
        if recognises(fd, head, size):
            try:
                return read(fd, head, size)
            except Odd as odd:
                log.info("a file that begins as %s is taken as it is: %s", name, odd)
                return loose(size)
    if size % SECTOR or head.startswith(_OTHERS):
        return loose(size)
    return disk(plain(size), size)


def block_of_stream(head: bytes) -> int | None:
    """At multiples of what a file that begins so is cut, whatever follows; None when more must be seen of it.

    It holds for whole sectors; a file that ends within one is of no known kind.
    """
    if head.startswith(_OTHERS):
        return None
    return iso.SECTOR if iso.recognises(-1, head, len(head)) else files.BLOCK
