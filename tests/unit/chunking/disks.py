"""Disks and image files made by hand, so that these tests need no other program."""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from skerry.chunking import codecs, index_file, making
from skerry.chunking.assemble import Assembly
from skerry.chunking.held import Held
from skerry.chunking.packing import divide
from skerry.chunking.packs import Effort, Unpacking, pack
from skerry.chunking.plan import ChunkPlan, plan
from skerry.chunking.view import View
from skerry.core.index_name import index_name

CLUSTER = 64 << 10
KIB = 1 << 10


def noise(size: int, seed: object = 0) -> bytes:
    """Bytes that nothing makes smaller; the same for the same seed."""
    return hashlib.shake_256(repr(seed).encode()).digest(size)


def words(size: int, seed: object = 0) -> bytes:
    """Bytes as of a text; parts of it come again, but no block does."""
    picks = noise(size // 4 + 1, seed)
    book = [noise(11, number).hex()[: 3 + number % 9].encode() for number in range(256)]
    return b" ".join(book[pick] for pick in picks).ljust(size, b".")[:size]


def disk(*parts: int | bytes) -> bytes:
    """Parts behind each other, each filled up to a block; a number is so many bytes of zeros."""
    filled = (bytes(part) if isinstance(part, int) else part for part in parts)
    return b"".join(part.ljust(-(-len(part) // 4096) * 4096, b"\0") for part in filled)


def qcow2(
    content: bytes,
    *,
    compress: str = "",
    version: int = 3,
    bits: int = 16,
    damage: Sequence[int] = (),
    size: int | None = None,
) -> bytes:
    """As `qemu-img convert` lays it out: header, refcounts, L1, L2, and the clusters that are not zeros.

    `compress` is empty, "zlib" or "zstd". Another compressor makes the streams of the clusters in `damage`.
    """
    cluster = 1 << bits
    content = content.ljust(-(-len(content) // cluster) * cluster, b"\0")
    size = len(content) if size is None else size
    per_table = cluster // 8
    tables = -(-len(content) // (cluster * per_table))
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        0,
        0,
        bits,
        size,
        0,
        max(tables, 1),
        3 * cluster,
        cluster,
        1,
        0,
        0,
    )
    if version == 3:
        header += struct.pack(">QQQII", 8 if compress == "zstd" else 0, 0, 0, 4, 112)
        header += bytes([compress == "zstd"]) + bytes(7)
    head = header.ljust(cluster, b"\0") + struct.pack(">Q", 2 * cluster).ljust(cluster, b"\0")
    head += (b"\0\1" * 16).ljust(cluster, b"\0")
    l1 = b"".join(struct.pack(">Q", (4 + table) * cluster | 1 << 63) for table in range(tables))
    entries, body = [], bytearray()
    start = (4 + tables) * cluster
    for number in range(len(content) // cluster):
        data = content[number * cluster : (number + 1) * cluster]
        stream = _stream(data, compress, other=number in damage) if any(data) else b""
        if not any(data):
            entries.append(0)
        elif stream:
            at = start + len(body)
            sectors = (at % 512 + len(stream) - 1) // 512
            entries.append(1 << 62 | sectors << (62 - (bits - 8)) | at)
            body += stream
        else:
            body += bytes(-len(body) % cluster)
            entries.append(start + len(body) | 1 << 63)
            body += data
    body += bytes(-len(body) % 512)
    table = struct.pack(f">{len(entries)}Q", *entries).ljust(tables * cluster, b"\0")
    return head + l1.ljust(cluster, b"\0") + table + bytes(body)


def _stream(data: bytes, compress: str, *, other: bool) -> bytes:
    """The compressed cluster; empty when it is not smaller."""
    if not compress:
        return b""
    if other:
        compressor = zlib.compressobj(1, zlib.DEFLATED, -12, 8)
        stream = compressor.compress(data) + compressor.flush()
    else:
        stream = codecs.candidates(compress)[0].compress(data)
    return stream if len(stream) < len(data) else b""


class Images:
    """Image files in a folder, indexed and open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[int] = []

    def hold(self, data: bytes, *, sparse: bool = False) -> Held:
        """Put an image into a file and index it."""
        path = self.folder / f"image-{len(self._open)}"
        if sparse:
            with path.open("wb") as file:
                for start in range(0, len(data), 4096):
                    if any(block := data[start : start + 4096]):
                        file.seek(start)
                        file.write(block)
                file.truncate(len(data))
        else:
            path.write_bytes(data)
        return self.hold_file(path)

    def hold_file(self, path: Path) -> Held:
        """Index the image in a file."""
        fd = os.open(path, os.O_RDWR)
        self._open.append(fd)
        with path.open("rb") as file:
            sha512 = hashlib.file_digest(file, "sha512").digest()
        index, sketch = making.index_and_sketch(fd, sha512)
        file_of_index = index_file.encode(index)
        return Held(
            index_name(file_of_index), index_file.decode(file_of_index), View(fd, index.recipe), sketch
        )

    @contextmanager
    def assembly(self, target: Held, name: str = "new") -> Iterator[tuple[Assembly, Path]]:
        """An assembly of an image, and the file that it makes; by the same name it goes on."""
        path = self.folder / name
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        made = Assembly(
            target.index, target.name, fd, self.folder / f"{name}.journal", self.folder / f"{name}.scratch"
        )
        try:
            yield made, path
        finally:
            made.close()
            os.close(fd)

    def bring(
        self, target: Held, bases: Sequence[Held] = (), effort: Effort = Effort.QUICK
    ) -> tuple[bytes, int]:
        """(the file, bytes of packs): make an image as an edge does that holds the bases."""
        what = plan(target.index, [base.index for base in bases])
        frames = packed(target, what, bases, effort)
        with self.assembly(target) as (made, path):
            for _ in made.follow(what, bases):
                pass
            for frame in frames:
                unpacking = Unpacking(target.name, target.index, {base.name: base for base in bases})
                for number, chunk in unpacking.feed(frame):
                    made.put(number, chunk)
                unpacking.finish()
                made.checkpoint()
            made.finish()
        data = path.read_bytes()
        for name in ("new", "new.journal", "new.scratch"):
            (self.folder / name).unlink(missing_ok=True)
        return data, sum(map(len, frames))

    def close(self) -> None:
        """Close all files."""
        for fd in self._open:
            os.close(fd)


def packed(
    target: Held, what: ChunkPlan, bases: Sequence[Held], effort: Effort = Effort.QUICK
) -> list[bytes]:
    """The packs that an origin sends for a plan."""
    known = [(base.index, base.sketch) for base in (target, *bases) if base.sketch is not None]
    return [pack(part, target, bases, effort) for part in divide(known[0], what.missing, known[1:])]
