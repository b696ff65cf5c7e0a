"""The images that are whole here and have an index: chunks of them are sent, and new images made of them."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import Generic, TypeVar

from skerry.catalog.copies import Copies
from skerry.chunking import index_file, sketch
from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.sketch import Sketch
from skerry.chunking.view import View
from skerry.core.copy import CopyState
from skerry.core.errors import NotFound, UnknownFormat, WrongBytes
from skerry.stores.base import Store
from skerry.stores.beside import Kind

T = TypeVar("T", ImageIndex, Sketch)

_KEPT = 400_000
"""Chunks whose indexes stay in memory, 50 bytes each; their sketches take about twice that."""


class Holdings:
    """Reads them from the files beside the images. Threads may do it at the same time."""

    def __init__(self, store: Store, copies: Copies) -> None:
        self._store = store
        self._copies = copies
        self._indexes: _Memory[ImageIndex] = _Memory()
        self._sketches: _Memory[Sketch] = _Memory()

    def names(self) -> Mapping[str, str]:
        """The names of the indexes by the ids of the images."""
        whole = (copy for copy in self._copies.all() if copy.state is CopyState.COMPLETE)
        return {copy.image_id: copy.index for copy in whole if copy.index}

    def index_file(self, image_id: str) -> bytes:
        """The file of the index of an image. Blocks. Raises NotFound."""
        return self._store.beside.get(Kind.INDEX, image_id)

    @contextmanager
    def open(self, image_ids: Iterable[str], *, sketches: bool = False) -> Iterator[list[Held]]:
        """Images with their indexes, and sketches if asked for. Blocks.

        What has gone meanwhile, or whose index is damaged, is left out. They can be read until this is
        closed, also when they are evicted.
        """
        names = self.names()
        with ExitStack() as stack:
            found = []
            for image_id in image_ids:
                with suppress(NotFound, FileNotFoundError, WrongBytes, UnknownFormat):
                    found.append(self._held(image_id, names[image_id], stack, sketches))
            yield found

    def _held(self, image_id: str, name: str, stack: ExitStack, sketches: bool) -> Held:
        index = self._indexes.get(name) or self._indexes.put(
            name, index_file.decode(self.index_file(image_id))
        )
        features = None
        if sketches:
            features = self._sketches.get(name) or self._sketches.put(
                name, sketch.decode(self._store.beside.get(Kind.SKETCH, image_id))
            )
        fd = os.open(self._store.path(image_id), os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        if os.fstat(fd).st_size != index.size:
            raise WrongBytes(f"The file of image {image_id} has another size than it should.")
        return Held(name, index, View(fd, index.recipe), features)


class _Memory(Generic[T]):
    """What was decoded last, by the names of the indexes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> T | None:
        with self._lock:
            if (found := self._kept.get(name)) is not None:
                self._kept.move_to_end(name)
            return found

    def put(self, name: str, value: T) -> T:
        with self._lock:
            self._kept[name] = value
            while len(self._kept) > 1 and sum(map(_chunks, self._kept.values())) > _KEPT:
                self._kept.popitem(last=False)
        return value


def _chunks(value: ImageIndex | Sketch) -> int:
    return value.count if isinstance(value, ImageIndex) else len(value.counts)
