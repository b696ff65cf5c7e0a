"""What goes wrong with disks, in the product's errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

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
