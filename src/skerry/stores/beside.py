"""Immutable files beside an image: its index and its sketch.

`ROOT/.index/<id>` and `ROOT/.sketch/<id>`, below the root of a filesystem store. They are made of the bytes
of the image, so one that is lost or left over is no harm: it is made again, or swept.
"""

import os
import re
from collections.abc import Container, Iterator
from enum import StrEnum
from pathlib import Path

from skerry.core.errors import NotFound
from skerry.stores.disk import disk_errors

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UNFINISHED = ".new"


class Kind(StrEnum):
    """What a file beside an image is; its value names the folder."""

    INDEX = ".index"
    SKETCH = ".sketch"


class Beside:
    """The files beside the images of one store. All methods block.

    A full disk is NoSpace, every other trouble StoreFailed. Making the object makes the folders.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        with disk_errors():
            for kind in Kind:
                (root / kind).mkdir(parents=True, exist_ok=True)

    def put(self, kind: Kind, image_id: str, data: bytes) -> None:
        """Make `data` the file of an image: durable, then visible, atomically. One call an image at once."""
        target = self._file(kind, image_id)
        unfinished = target.with_name(target.name + _UNFINISHED)
        with disk_errors():
            try:
                with unfinished.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(target)
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
            folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def get(self, kind: Kind, image_id: str) -> bytes:
        """The file of an image, whole. Raises NotFound."""
        with disk_errors():
            try:
                return self._file(kind, image_id).read_bytes()
            except FileNotFoundError:
                raise self._missing(kind, image_id) from None

    def delete(self, image_id: str) -> None:
        """Remove all files of an image; no error when there are none. Works with no free space."""
        with disk_errors():
            for kind in Kind:
                self._file(kind, image_id).unlink(missing_ok=True)

    def ids(self, kind: Kind) -> Iterator[str]:
        """Ids of the images that have a file of this kind."""
        return iter([name for name in self._names(kind) if _ID.fullmatch(name)])

    def sweep(self, wanted: Container[str]) -> int:
        """Remove what a crash left unfinished, and the files of images that are not wanted; says how many.

        For the start, before anything is put.
        """
        removed = 0
        for kind in Kind:
            for name in self._names(kind):
                if name not in wanted:
                    with disk_errors():
                        (self._root / kind / name).unlink(missing_ok=True)
                    removed += 1
        return removed

    def _names(self, kind: Kind) -> list[str]:
        with disk_errors(), os.scandir(self._root / kind) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]

    def _file(self, kind: Kind, image_id: str) -> Path:
        if not _ID.fullmatch(image_id):
            raise self._missing(kind, image_id)
        return self._root / kind / image_id

    @staticmethod
    def _missing(kind: Kind, image_id: str) -> NotFound:
        return NotFound(f"No {kind.name.lower()} of image {image_id} is here.", image=image_id)
