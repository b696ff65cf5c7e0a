"""Disk space put by, so that deleting works on a full disk."""

import contextlib
import os
from pathlib import Path


class Reserve:
    """A file that holds `size` bytes of the disk until they are needed. Its methods block."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def keep(self) -> None:
        """Put the space by unless it is already; without room for it there is no reserve, and no error."""
        if self._path.exists():
            return
        unfinished = self._path.with_name(f"{self._path.name}.part")
        try:
            with unfinished.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
            unfinished.rename(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()

    def release(self) -> bool:
        """Give the space back to the disk. Says whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
