"""What goes wrong with disks, in the product's errors, and what makes bytes durable."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skerry.core.errors import NoSpace, StoreFailed

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Say what went wrong with a disk in the product's errors: NoSpace when it is full, else StoreFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(
                "There is no space left for image data.", hint="Free space at this site."
            ) from error
        raise StoreFailed(f"The image store failed: {error}.") from error


def sync(path: Path) -> None:
    """Return when a file, or the names in a folder, are durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
