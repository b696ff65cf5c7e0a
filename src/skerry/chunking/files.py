"""Reading and writing at places of a file, whole or not at all."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from skerry.core.errors import NoSpace, StoreFailed, WrongBytes

BLOCK = 4096
"""The grain of views: holes, and edges of what is read, lie on multiples of it."""

_NO_COPYING = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fill(fd: int, buffer: memoryview, offset: int) -> None:
    """Fill `buffer` with the bytes of the file from `offset` on.

    Raises WrongBytes when it has not so many, StoreFailed when it cannot be read.
    """
    while buffer:
        try:
            count = os.preadv(fd, [buffer], offset)
        except OSError as error:
            raise StoreFailed(f"The image store failed: {error}.") from error
        if not count:
            raise WrongBytes(f"A file ends at byte {offset}, before its end.")
        buffer = buffer[count:]
        offset += count


def read(fd: int, offset: int, length: int) -> bytearray:
    """So many bytes of the file. Raises as `fill`."""
    data = bytearray(length)
    fill(fd, memoryview(data), offset)
    return data


def write(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`. Raises NoSpace or StoreFailed."""
    view = memoryview(data)
    while view:
        try:
            count = os.pwrite(fd, view, offset)
        except OSError as error:
            raise _failed(error) from error
        view = view[count:]
        offset += count


def copy(source: int, at: int, target: int, to: int, length: int) -> None:
    """Copy within the kernel; where the file system can, both files share the blocks afterwards.

    Raises NoSpace or StoreFailed, and WrongBytes when the source has not so many bytes.
    """
    while length:
        try:
            count = os.copy_file_range(source, target, length, at, to)
        except OSError as error:
            if error.errno not in _NO_COPYING:
                raise _failed(error) from error
            count = min(length, 1 << 20)
            write(target, read(source, at, count), to)
        if not count:
            raise WrongBytes(f"A file ends at byte {at}, before its end.")
        at += count
        to += count
        length -= count


def data_runs(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the parts between `start` and `end` that are no holes of a sparse file, in order.

    A file system that knows no holes has none.
    """
    while start < end:
        try:
            first = os.lseek(fd, start, os.SEEK_DATA)
            last = os.lseek(fd, first, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                yield start, end
            return
        if first >= end:
            return
        yield max(first, start), min(last, end)
        start = last


def _failed(error: OSError) -> NoSpace | StoreFailed:
    if error.errno in _FULL:
        return NoSpace("There is no space left for image data.", hint="Free space at this site.")
    return StoreFailed(f"The image store failed: {error}.")


def open_own(path: Path) -> int:
    """A descriptor of a file of this program, for reading and writing; it is made when it is not there.

    Its name is durable.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _failed(error) from error
    return fd


def make_durable(fd: int) -> None:
    """Return when all that was written to the file is durable."""
    try:
        os.fdatasync(fd)
    except OSError as error:
        raise _failed(error) from error


def set_size(fd: int, size: int) -> None:
    """Cut a file off, or let a hole follow."""
    try:
        os.ftruncate(fd, size)
    except OSError as error:
        raise _failed(error) from error
