"""Carry out a plan: the file of an image, made of its chunks, wherever they come from.

What was written outlasts the program, what was made durable a power cut as well (`journal`): that loses what
came since the last `checkpoint`.
Chunks of which the file has only a compressed form wait in a scratch file.
"""

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np

from skerry.chunking import build, codecs, files
from skerry.chunking.digesting import Digesting
from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.journal import CHUNKS, PIECES, WRITTEN, Journal
from skerry.chunking.part import Part
from skerry.chunking.placing import Placing
from skerry.chunking.plan import ChunkPlan
from skerry.chunking.progress import ready_to
from skerry.chunking.recipe import Numbers
from skerry.core.errors import UnknownFormat, WrongBytes
from skerry.core.write_points import reached

_BATCH = 16
"""Pieces that a thread makes in one go."""


class Assembly:
    """One image on its way. One thread calls it; the pieces are made on others.

    All that is done raises NoSpace or StoreFailed.
    """

    def __init__(
        self, index: ImageIndex, name: str, fd: int, journal: Path, scratch: Path, *, threads: int = 2
    ) -> None:
        """Go on where an earlier assembly into the file `fd` stopped, or begin.

        `name` is the digest of the index. A file of another size is begun anew. Raises UnknownFormat when
        this site cannot make the pieces; then the image is fetched whole.
        """
        if index.recipe.codec and index.recipe.codec not in codecs.known():
            raise UnknownFormat(f"This site cannot compress as {index.recipe.codec!r} does.")
        self._index, self._name, self._fd = index, name, fd
        self._journal = Journal(journal, name, index.count, len(index.recipe.at))
        self._scratch = files.open_own(scratch) if index.recipe.codec else -1
        if os.fstat(fd).st_size != index.size:
            self._journal.clear()
            files.set_size(fd, 0)
            files.set_size(fd, index.size)
        if self._scratch >= 0 and os.fstat(self._scratch).st_size != index.data_size:
            self._journal.clear()
            files.set_size(self._scratch, index.data_size)
        self._placing = Placing(index, fd, self._scratch)
        self.stored = self._journal.done[CHUNKS].copy()
        """Chunks whose bytes are in the file, or in the scratch file."""
        self.built = self._journal.done[PIECES].copy()
        """Compressed pieces that are in the file."""
        self._take_written()
        self.in_file = self.stored.copy()
        """Chunks that are in the file, as far as it has them as they are."""
        self._compressed = build.compressed(index)
        self._twins = np.arange(index.count)
        self._by_twin = self._twins
        none = np.full(index.count, -1, np.int64)
        self._places = build.Places(none, none.copy(), [])
        self._begun = self.built | ~index.recipe.made
        self._pool = ThreadPoolExecutor(threads, "build")
        self._building: list[Future[list[int]]] = []
        self._digesting = Digesting(fd)

    def follow(self, plan: ChunkPlan, bases: Sequence[Held]) -> Iterator[int]:
        """Copy what the plan takes from the held images; gives, each time some are there, how many bytes.

        To be exhausted before anything else is done. The bases must stay until `finish` is through. Their
        bytes are not verified here: the digest of the file tells.
        """
        self._by_twin = np.argsort(plan.twin, kind="stable")
        self._twins = plan.twin[self._by_twin]
        self._places.bases = list(bases)
        for number, base in enumerate(bases):
            for first, count, chunk in plan.wanted_from(number):
                there = base.index.offset[chunk : chunk + count]
                self._places.lender[first : first + count] = number
                self._places.offset[first : first + count] = there
                yield from self._copy(base, first, there)
        self._advance()

    def put(self, number: int, data: bytes | bytearray) -> None:
        """Take a missing chunk, which its caller has verified, at all its places."""
        first, last = bisect_left(self._twins, number), bisect_right(self._twins, number)
        for twin in self._by_twin[first:last].tolist():
            self._placing.write(twin, memoryview(data))
            self._journal.note_written(twin)
            self.stored[twin] = self.in_file[twin] = True
            self._places.lender[twin] = -1

    def part(self) -> Part:
        """What is stored, to be read while the rest comes; to be closed."""
        return Part(self._name, self._index, self._fd, self._scratch, self.stored)

    def checkpoint(self) -> None:
        """Return when all that was put before is durable."""
        self._advance()
        stored, built = self.stored.copy(), self.built.copy()
        files.make_durable(self._fd)
        if self._scratch >= 0:
            files.make_durable(self._scratch)
        reached("assembly.bytes-durable")
        self._journal.add(CHUNKS, stored)
        self._journal.add(PIECES, built)

    def finish(self) -> None:
        """Make what is left to be made, and compare the digest of the file; nothing is made durable.

        Raises WrongBytes when the file is not right, see `recheck`.
        """
        self._advance(wait=True)
        if bool(np.any(self._index.recipe.made & ~self.built)) or not bool(np.all(self.in_file)):
            raise WrongBytes("Parts of an image are missing.")
        self._digesting.go_on(self._index.size)
        if self._digesting.result() != self._index.sha512:
            raise WrongBytes("The finished file does not have the digest of its record.")

    def is_right(self, number: int) -> bool:
        """Whether a chunk is here, wherever it is, and has the bytes that its id says."""
        lender = int(self._places.lender[number])
        try:
            if self.stored[number]:
                data = self._placing.read(number)
            elif lender >= 0:
                place, length = int(self._places.offset[number]), int(self._index.length[number])
                data = self._places.bases[lender].read(place, length)
            else:
                return False
        except WrongBytes:
            return False
        return self._is(number, data)

    def _is(self, number: int, data: bytearray) -> bool:
        return hashlib.sha256(data).digest() == bytes(self._index.ids[number].tobytes())

    def _take_written(self) -> None:
        """Of the chunks that were written when an earlier assembly ended, those that are there."""
        for number in np.flatnonzero(self._journal.done[WRITTEN] & ~self.stored).tolist():
            self.stored[number] = self._is(number, self._placing.read(number))

    def recheck(self) -> tuple[int, frozenset[str]]:
        """After `finish` has found that the file is wrong: look for the chunks that are, and forget them.

        Returns their number, and the names of the held images that lent some. A new plan, without those,
        brings them anew. When there are none, the image cannot be made of its chunks.
        """
        wrong, damaged = 0, set()
        for number in range(self._index.count):
            lender = int(self._places.lender[number])
            if (self.stored[number] or lender >= 0) and not self.is_right(number):
                wrong += 1
                self.stored[number] = False
                if lender >= 0:
                    damaged.add(self._places.bases[lender].name)
        self.in_file &= self.stored
        self.built[:] = False
        self._begun = ~self._index.recipe.made
        self._digesting.stop()
        self._digesting = Digesting(self._fd)
        self._places.lender[:] = -1
        self._journal.clear()
        self._journal.add(CHUNKS, self.stored)
        return wrong, frozenset(damaged)

    def close(self) -> None:
        """Stop; what was durable can be gone on with. The file stays the caller's."""
        self._pool.shutdown(cancel_futures=True)
        self._digesting.stop()
        self._journal.close()
        if self._scratch >= 0:
            os.close(self._scratch)

    def _copy(self, base: Held, first: int, there: Numbers) -> Iterator[int]:
        """Copy chunks that follow each other, together where no hole is between them."""
        here = self._index.offset[first : first + len(there)]
        length = self._index.length[first : first + len(there)]
        apart = (here[1:] != here[:-1] + length[:-1]) | (there[1:] != there[:-1] + length[:-1])
        starts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(there)]
        for begin, stop in pairwise(starts):
            size = int(length[begin:stop].sum())
            with suppress(WrongBytes):  # the image that lends it is damaged, which `finish` finds out
                self._placing.copy(base, int(here[begin]), int(there[begin]), size)
                chunks = slice(first + begin, first + stop)
                self.in_file[chunks] = True
                self.stored[chunks] |= ~self._compressed[chunks]
            yield size

    def _advance(self, *, wait: bool = False) -> None:
        """Have the pieces made whose chunks are here, note those that are, and digest what is ready."""
        here = self.stored | (self._places.lender >= 0)
        coming = np.flatnonzero(~self._begun & ~build.waiting(self._index, here)).tolist()
        self._begun[coming] = True
        for start in range(0, len(coming), _BATCH):
            self._building.append(self._pool.submit(self._build, coming[start : start + _BATCH]))
        for future in list(self._building):
            if wait or future.done():
                self.built[future.result()] = True
                self._building.remove(future)
        ready = ready_to(self._index, self.in_file, self.built, self._digesting.end)
        self._digesting.go_on(ready)

    def _build(self, pieces: list[int]) -> list[int]:
        """Make some pieces. Returns those that came out well; `finish` misses the others."""
        made = []
        for piece in pieces:
            with suppress(WrongBytes):
                build.build(piece, self._index, self._places, self._placing, self._fd)
                made.append(piece)
        return made
