"""What a store must do. Whole images, each under its id; partial ones apart, under a key.

All methods block and are called on worker threads. Ids and keys are checked by the store and never become
paths unchecked. A full disk is NoSpace, every other trouble StoreFailed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from skerry.stores.beside import Beside


class Partial(Protocol):
    """Bytes on their way in: an append-only file that survives a crash up to its last `sync`."""

    key: str
    path: Path

    def size(self) -> int:
        """Bytes written so far; 0 when there is no file yet."""
        ...

    def open(self) -> int:
        """A descriptor for reading and writing; the caller closes it."""
        ...

    def sync(self) -> None:
        """Return when all that was written is durable."""
        ...

    def truncate(self, size: int) -> None:
        """Cut back to `size` bytes."""
        ...

    def discard(self) -> None:
        """Remove it; no error when it is gone already."""
        ...


class Store(Protocol):
    """A place for whole images."""

    name: str
    beside: Beside

    def partial(self, key: str) -> Partial:
        """The partial file for `key`; it comes into being, empty, when it is first opened."""
        ...

    def partials(self) -> Iterator[str]:
        """Keys of all partial files."""
        ...

    def publish(self, partial: Partial, image_id: str) -> None:
        """Make the partial file the bytes of `image_id`: durable, then visible under the id, atomically."""
        ...

    def retract(self, image_id: str, key: str | None = None) -> Partial:
        """The reverse of `publish`: make bytes of an image the partial file `key`, its id if none is given.

        Raises NotFound.
        """
        ...

    def path(self, image_id: str) -> Path:
        """The local file of an image, for sendfile. Raises NotFound."""
        ...

    def size(self, image_id: str) -> int:
        """Bytes of an image. Raises NotFound."""
        ...

    def set_aside(self, image_id: str) -> None:
        """Take bad bytes out of service, keeping them for inspection (at most one file per image)."""
        ...

    def delete(self, image_id: str) -> None:
        """Remove the bytes; no error when they are gone already. Works with no free space."""
        ...

    @property
    def others(self) -> frozenset[str]:
        """Names of places, besides the ordinary one, to which whole images may be moved."""
        ...

    def move(self, image_id: str, store: str) -> None:
        """Have the bytes of an image in one of the `others`, whole at each moment. Raises NotFound."""
        ...

    def elsewhere(self) -> dict[str, str]:
        """The images that lie in one of the `others`: id -> its name."""
        ...

    def tidy(self) -> int:
        """Remove what a crash during a move has left; says how many files. For the start."""
        ...

    def ids(self) -> Iterator[str]:
        """Ids of all whole images."""
        ...

    def free(self) -> int:
        """Bytes that can still be written."""
        ...
