"""Images as files of one folder, so that sendfile, hard links and a person with `ls` work.

`ROOT/<id>` is a whole image, `ROOT/.incoming/<key>` bytes on their way in, `ROOT/.aside/<id>` bytes that
turned out bad; `beside` has more. Bytes move between the three by rename alone, so ROOT is one file system.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from skerry.core.errors import InvalidInput, NotFound
from skerry.core.write_points import reached
from skerry.stores.base import Partial
from skerry.stores.beside import Beside
from skerry.stores.disk import disk_errors, sync
from skerry.stores.elsewhere import Elsewhere

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


class FilesystemPartial:
    """A file below `.incoming`; it comes into being when it is first opened."""

    def __init__(self, key: str, path: Path) -> None:
        self.key = key
        self.path = path

    def size(self) -> int:
        """Bytes written so far; 0 when there is no file yet."""
        with disk_errors():
            try:
                return self.path.stat().st_size
            except FileNotFoundError:
                return 0

    def open(self) -> int:
        """A descriptor for reading and writing, at the start; the caller closes it."""
        with disk_errors():
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)

    def sync(self) -> None:
        """Return when all that was written is durable, and its name too."""
        with disk_errors():
            sync(self.path)
            sync(self.path.parent)

    def truncate(self, size: int) -> None:
        """Cut back to `size` bytes."""
        with disk_errors():
            os.truncate(self.path, size)

    def discard(self) -> None:
        """Remove it; no error when it is gone already."""
        with disk_errors():
            self.path.unlink(missing_ok=True)


class FilesystemStore:
    """A folder of whole images, and `others` by name, to which they may be moved.

    Making the object makes the folders; StoreFailed when that cannot be.
    """

    name = "filesystem"

    def __init__(self, root: Path, others: Mapping[str, Path] = MappingProxyType({})) -> None:
        self._root = root
        self._incoming = root / ".incoming"
        self._aside = root / ".aside"
        with disk_errors():
            for folder in (self._incoming, self._aside):
                folder.mkdir(parents=True, exist_ok=True)
        self.beside = Beside(root)
        self._elsewhere = Elsewhere(root, others)

    @property
    def others(self) -> frozenset[str]:
        """Names of the folders to which images may be moved."""
        return self._elsewhere.names

    def partial(self, key: str) -> FilesystemPartial:
        """The partial file for `key`, empty when there is none."""
        if not _KEY.fullmatch(key):
            raise InvalidInput(f"{key!r} is no key of a partial image.")
        return FilesystemPartial(key, self._incoming / key)

    def partials(self) -> Iterator[str]:
        """Keys of all partial files."""
        return self._names(self._incoming, _KEY)

    def publish(self, partial: Partial, image_id: str) -> None:
        """Make the partial file the bytes of `image_id`: durable, then visible under the id, atomically."""
        target = self._file(image_id)
        with disk_errors():
            sync(partial.path)
            reached("store.bytes-durable")
            partial.path.replace(target)
            reached("store.renamed")
            sync(self._root)

    def retract(self, image_id: str, key: str | None = None) -> FilesystemPartial:
        """The reverse of `publish`: make bytes of an image the partial file `key`, its id if none is given.

        Raises NotFound.
        """
        partial = self.partial(key or image_id)
        with disk_errors():
            self.path(image_id).replace(partial.path)
            sync(self._root)
        return partial

    def path(self, image_id: str) -> Path:
        """The local file of an image, for sendfile. Raises NotFound."""
        path = self._file(image_id)
        if not path.is_file():
            raise self._missing(image_id)
        return path

    def size(self, image_id: str) -> int:
        """Bytes of an image. Raises NotFound."""
        with disk_errors():
            try:
                return self._file(image_id).stat().st_size
            except FileNotFoundError:
                raise self._missing(image_id) from None

    def set_aside(self, image_id: str) -> None:
        """Take bad bytes out of service, keeping them for inspection (at most one file per image)."""
        path = self._file(image_id)
        with disk_errors(), suppress(FileNotFoundError):
            if self._elsewhere.target(path) is None:
                path.replace(self._aside / path.name)
            else:
                self.delete(image_id)  # the fast disk is not for inspection

    def delete(self, image_id: str) -> None:
        """Remove the bytes; no error when they are gone already. Works with no free space."""
        path = self._file(image_id)
        with disk_errors():
            there = self._elsewhere.target(path)
            path.unlink(missing_ok=True)
            if there is not None:
                there.unlink(missing_ok=True)

    def move(self, image_id: str, store: str) -> None:
        """Have the bytes of an image in one of the `others`. Raises NotFound, NoSpace, StoreFailed."""
        self._elsewhere.move(self.path(image_id), store)

    def elsewhere(self) -> dict[str, str]:
        """The images that lie in one of the `others`: id -> its name."""
        return self._elsewhere.all()

    def tidy(self) -> int:
        """Remove what a crash during a move has left; says how many files. For the start."""
        return self._elsewhere.tidy()

    def ids(self) -> Iterator[str]:
        """Ids of all whole images."""
        return self._names(self._root, _ID)

    def free(self) -> int:
        """Bytes that can still be written."""
        with disk_errors():
            state = os.statvfs(self._root)
        return state.f_bavail * state.f_frsize

    def _file(self, image_id: str) -> Path:
        if not _ID.fullmatch(image_id):
            raise self._missing(image_id)
        return self._root / image_id

    @staticmethod
    def _names(folder: Path, form: re.Pattern[str]) -> Iterator[str]:
        with disk_errors(), os.scandir(folder) as entries:
            names = [entry.name for entry in entries if form.fullmatch(entry.name) and entry.is_file()]
        return iter(names)

    @staticmethod
    def _missing(image_id: str) -> NotFound:
        return NotFound(f"No bytes of image {image_id} are here.", image=image_id)
