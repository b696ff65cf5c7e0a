"""What of a damaged file is right: its chunks are compared with their ids, and the others come anew."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skerry.chunking import codecs, files
from skerry.chunking.index import ImageIndex
from skerry.chunking.journal import CHUNKS, Journal
from skerry.chunking.placing import Placing
from skerry.chunking.recipe import Flags
from skerry.chunking.view import View
from skerry.core.errors import StoreFailed, UnknownFormat, WrongBytes


class Wrong(NamedTuple):
    """So many chunks, of so many bytes."""

    chunks: int
    size: int


def salvage(path: Path, index: ImageIndex, name: str, journal: Path, scratch: Path) -> Wrong:
    """Have an assembly into the file at `path` begin with the chunks of it that are right; durable then.

    `name` is that of the index; `journal` and `scratch` are the assembly's. Returns what is wrong; with no
    chunk nothing was begun: the damage is where none is. Blocks for as long as it takes to read the file.
    Raises UnknownFormat when this site cannot make the image, NoSpace, StoreFailed.
    """
    if index.recipe.codec and index.recipe.codec not in codecs.known():
        raise UnknownFormat(f"This site cannot compress as {index.recipe.codec!r} does.")
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    kept = -1
    try:
        if index.recipe.codec:
            kept = files.open_own(scratch)
            files.set_size(kept, index.data_size)
        right = _right(fd, index, kept)
        wrong = Wrong(int((~right).sum()), int(index.length[~right].sum()))
        if wrong.chunks:
            files.set_size(fd, index.size)
            for each in (fd, kept):
                if each >= 0:
                    files.make_durable(each)
            rows = Journal(journal, name, index.count, len(index.recipe.at))
            rows.clear()
            rows.add(CHUNKS, right)
            rows.close()
        return wrong
    finally:
        for each in (fd, kept):
            if each >= 0:
                os.close(each)


def _right(fd: int, index: ImageIndex, scratch: int) -> Flags:
    """The chunks that are right; those that the file has only compressed are put into `scratch`."""
    view, placing = View(fd, index.recipe), Placing(index, fd, scratch)
    right = np.zeros(index.count, np.bool_)
    for number in range(index.count):
        with suppress(WrongBytes, StoreFailed):
            data = view.read(int(index.offset[number]), int(index.length[number]))
            if hashlib.sha256(data).digest() == index.ids[number].tobytes():
                if scratch >= 0:
                    placing.write(number, memoryview(data))
                right[number] = True
    return right
