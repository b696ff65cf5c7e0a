"""Bytes that can be handed to a client: an open file, and how much of it is there."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path


async def _nothing_more(_: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The file of one image, whole or growing, open for reading even when it is renamed or removed.

    `size` is the size of the whole image in bytes. `ready(n)` is the end of the bytes from `n` on that may be
    sent now; `wait(n)` returns once some may be, and raises what ended the transfer when none will.
    """

    fd: int
    size: int
    ready: Callable[[int], int]
    wait: Callable[[int], Awaitable[None]] = _nothing_more

    @classmethod
    def whole(cls, path: Path) -> "Delivery":
        """Of a file that is complete. Raises FileNotFoundError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        size = os.fstat(fd).st_size
        return cls(fd, size, lambda _: size)

    def close(self) -> None:
        """Give the file back."""
        os.close(self.fd)
