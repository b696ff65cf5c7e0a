"""What an assembly has done, durable: a file to which rows are added.

    8  magic "SKERRYJN"    4  version    32  SHA-256 of the index, whose assembly it is
    rows of 16 bytes:  4  what (1 chunks, 2 pieces, 3 chunks written)   4  the first   4  how many
                       4  CRC-32 of those

All numbers are little-endian. A row that was being written when the power went ends the file. Chunks are
noted as written before anybody knows that they are durable: so a program that is killed loses none, and after
a power cut they have to be compared with their ids.
"""

import os
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from skerry.chunking import files
from skerry.chunking.pack_file import to_runs
from skerry.chunking.recipe import Flags, Numbers

CHUNKS, PIECES, WRITTEN = 1, 2, 3

_HEAD = struct.Struct("<8sI32s")
_ROW = struct.Struct("<IIII")
_MAGIC, _VERSION = b"SKERRYJN", 1


class Journal:
    """The journal in the file `path`. An unknown or foreign one is begun anew: then nothing was done.

    Raises NoSpace or StoreFailed throughout.
    """

    def __init__(self, path: Path, name: str, chunks: int, pieces: int) -> None:
        """`name` is the digest of the index, which has so many chunks and pieces."""
        self.done = _nothing(chunks, pieces)
        self._fd = files.open_own(path)
        head = _HEAD.pack(_MAGIC, _VERSION, bytes.fromhex(name))
        data = files.read(self._fd, 0, os.fstat(self._fd).st_size)
        self._end = len(head)
        if data.startswith(head):
            self._end += _replay(memoryview(data)[len(head) :], self.done)
            files.set_size(self._fd, self._end)
        else:
            files.set_size(self._fd, 0)
            files.write(self._fd, head, 0)

    def add(self, what: int, done: Flags) -> None:
        """Add what is done and was not yet, durably. What it says must be durable before."""
        new = np.flatnonzero(done & ~self.done[what])
        if not len(new):
            return
        runs = to_runs(new)
        rows, end = bytearray(), 0
        for gap, count in zip(runs[::2], runs[1::2], strict=True):
            rows += _row(what, end + gap, count)
            end += gap + count
        self._write(rows)
        files.make_durable(self._fd)
        self.done[what] |= done

    def note_written(self, chunk: int) -> None:
        """A chunk was written; neither it nor the note has to be durable."""
        self._write(_row(WRITTEN, chunk, 1))

    def clear(self) -> None:
        """Nothing is done any more, durably: `add` begins anew."""
        files.set_size(self._fd, _HEAD.size)
        files.make_durable(self._fd)
        self._end = _HEAD.size
        for flags in self.done.values():
            flags[:] = False

    def close(self) -> None:
        """No more is added. The file stays."""
        os.close(self._fd)

    def _write(self, rows: bytes | bytearray) -> None:
        files.write(self._fd, rows, self._end)
        self._end += len(rows)


def _row(what: int, first: int, count: int) -> bytes:
    row = struct.pack("<III", what, first, count)
    return row + struct.pack("<I", zlib.crc32(row))


def _nothing(chunks: int, pieces: int) -> dict[int, Flags]:
    counts = {CHUNKS: chunks, PIECES: pieces, WRITTEN: chunks}
    return {what: np.zeros(count, np.bool_) for what, count in counts.items()}


def chunks_of(path: Path | None, name: str, chunks: int) -> Flags:
    """The chunks that a journal says are there, if there is one of the index `name`. Changes nothing."""
    done = _nothing(chunks, 0)
    head = _HEAD.pack(_MAGIC, _VERSION, bytes.fromhex(name))
    with suppress(OSError):
        data = path.read_bytes() if path is not None else b""
        if data.startswith(head):
            _replay(memoryview(data)[len(head) :], done)
    return done[CHUNKS] | done[WRITTEN]


def as_flags(numbers: Numbers, count: int) -> Flags:
    """Numbers of chunks as flags of all of them."""
    flags = np.zeros(count, np.bool_)
    flags[numbers] = True
    return flags


def _replay(rows: memoryview, done: Mapping[int, Flags]) -> int:
    """Take over the rows up to the first that is damaged. Returns their bytes."""
    for start in range(0, len(rows) - _ROW.size + 1, _ROW.size):
        what, first, count, check = _ROW.unpack_from(rows, start)
        if check != zlib.crc32(rows[start : start + 12]) or what not in done:
            return start
        done[what][first : first + count] = True
    return len(rows) - len(rows) % _ROW.size
