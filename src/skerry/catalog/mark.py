"""How far the writer of a database is, for the other processes of the machine."""

import mmap
import os
from pathlib import Path
from struct import Struct

_NUMBER = Struct("=q")


class Mark:
    """A number in a file that processes share as memory: reading it asks nobody, not even the kernel.

    One process writes it, any number read. It is aligned, so that none reads half of it. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < _NUMBER.size:
                os.ftruncate(descriptor, _NUMBER.size)
            self._memory = mmap.mmap(descriptor, _NUMBER.size)
        finally:
            os.close(descriptor)

    def read(self) -> int:
        """The number that was written last."""
        number: int = _NUMBER.unpack_from(self._memory)[0]
        return number

    def write(self, number: int) -> None:
        """Have all others read this from now on."""
        _NUMBER.pack_into(self._memory, 0, number)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
