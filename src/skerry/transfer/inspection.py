"""Look at the bytes of an image on their way in: are they what they are said to be, and harmless?

The rules are stock Glance's: the format found must be the one declared, `raw` may hold anything that is
harmless, and an ISO that can be booted from a disk (ISO and partition table in one) counts as ISO. One is
wider here: a kernel may look like a partitioned disk; Glance refuses it, though its own code means not to.
"""

import logging
from collections.abc import Mapping
from typing import IO, Any, cast

from skerry.core.errors import BadImage

log = logging.getLogger(__name__)

SLICE = 64 << 10
"""Bytes shown to the inspectors at a time, whatever the size of the blocks that arrive. Some look for a
structure only in the slice that they are shown, so what is found must not depend on how a sender cuts."""

_SIZED_BY_LENGTH = ("raw", "gpt", "luks")
"""Formats whose virtual size is worked out from the length of the file."""

_KERNELS = ("aki", "ari")
"""A Linux kernel begins with what looks like a partition table, often bad; nobody takes it for a disk."""


class Inspection:
    """One image, shown block by block with `feed`, judged with `conclude`.

    After the first few hundred KiB most images are decided, and feeding costs nothing any more.
    """

    def __init__(self, disk_format: str, *, match: bool = True) -> None:
        """`match`: refuse what is of another known format than `disk_format` says."""
        # 50 ms and 9 MB that a site without uploads never needs
        from oslo_utils.imageutils import format_inspector

        self._declared = disk_format
        self._match = match
        self._known = format_inspector.ALL_FORMATS
        self._unsafe = format_inspector.SafetyCheckFailed
        self._slices = _Slices()
        self._inspectors = format_inspector.InspectWrapper(cast("IO[bytes]", self._slices))
        self._pending = bytearray()
        self._decided = False

    def feed(self, block: bytes) -> None:
        """Show the next bytes."""
        if self._decided:
            return
        self._pending += block
        whole = len(self._pending) - len(self._pending) % SLICE
        for start in range(0, whole, SLICE):
            if self._show(bytes(self._pending[start : start + SLICE])):
                break
        del self._pending[:whole]

    def conclude(self, size: int) -> int | None:
        """The virtual size in bytes of an image of `size` bytes, all fed; None when the format does not tell.

        Raises BadImage with the reason.
        """
        try:
            if not self._decided:
                self._show(bytes(self._pending))
            self._inspectors.close()
            found = {str(inspector): inspector for inspector in self._inspectors.formats or ()}
            return self._judge(found, size)
        except BadImage:
            raise
        except Exception as error:  # inspectors meet hostile bytes: whatever they stumble over is no image
            log.warning("image data could not be inspected: %r", error)
            raise BadImage("Image format inspection failed") from error

    def _show(self, data: bytes) -> bool:
        """Show one slice, and say whether more would change nothing."""
        self._slices.next = data
        self._inspectors.read(len(data))
        self._decided = self._inspectors.formats is not None
        return self._decided

    def _judge(self, found: Mapping[str, Any], size: int) -> int | None:
        if len(found) > 1 and found.keys() != {"iso", "gpt"}:
            raise BadImage(f"Multiple formats detected: {', '.join(sorted(found))}")
        name = "iso" if "iso" in found else next(iter(found))
        inspector = found[name]
        virtual: int | None
        if name == self._declared:
            virtual = inspector.virtual_size
            if name in _SIZED_BY_LENGTH:
                virtual += size - inspector.actual_size
        elif self._declared == "raw":
            virtual = size
        elif name == "raw" and self._declared not in self._known:
            virtual = None
        elif name == "gpt" and self._declared in _KERNELS:
            return None
        elif not self._match:
            virtual = None
        else:
            raise BadImage(f"Image disk_format {self._declared} does not match stream data {name}")
        try:
            inspector.safety_check()
        except self._unsafe as error:
            reasons = "; ".join(f"{check}: {why}" for check, why in sorted(error.failures.items()))
            raise BadImage(f"Image failed safety checks ({reasons})") from error
        return virtual or None


class _Slices:
    """The file that the inspectors read from: whatever was put there last."""

    next: bytes = b""

    def read(self, _: int) -> bytes:
        return self.next


def inspection_for(
    disk_format: str | None, container_format: str | None, *, match: bool = True
) -> Inspection | None:
    """As stock Glance: what lies in a container is not looked at."""
    if disk_format and container_format == "bare":
        return Inspection(disk_format, match=match)
    return None
