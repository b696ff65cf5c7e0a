"""One journey of an image as chunks, both ends in this process: bytes for the line, seconds of each step."""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from skerry.chunking import index_file, index_wire, making
from skerry.chunking.assemble import Assembly
from skerry.chunking.held import Held
from skerry.chunking.packing import divide
from skerry.chunking.packs import Effort, Unpacking, pack
from skerry.chunking.plan import plan
from skerry.chunking.view import View
from skerry.core.index_name import index_name


@dataclass
class Journey:
    """`seconds` of processor time by step, threads added up; `size` and `line` in bytes."""

    size: int
    index: int = 0
    packs: int = 0
    missing: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def line(self) -> int:
        """What an edge receives but for the headers of requests."""
        return self.index + self.packs

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[step] = self.seconds.get(step, 0) + time.process_time() - start


@dataclass(frozen=True)
class Origin:
    """An image with all that is made of it once; `seconds` of processor time for that."""

    held: Held
    index_file: bytes
    seconds: float


def prepare(path: Path) -> Origin:
    """Index and sketch an image. Its file stays open."""
    fd = os.open(path, os.O_RDONLY)
    with path.open("rb") as file:
        sha512 = hashlib.file_digest(file, "sha512").digest()
    start = time.process_time()
    index, sketch = making.index_and_sketch(fd, sha512)
    data = index_file.encode(index)
    seconds = time.process_time() - start
    return Origin(Held(index_name(data), index, View(fd, index.recipe), sketch), data, seconds)


def index_seconds(path: Path) -> float:
    """Seconds of processor time for the index of an image alone; its digest is known by then."""
    with path.open("rb") as file:
        start = time.process_time()
        index_file.encode(making.index_file(file.fileno(), bytes(64)))
        return time.process_time() - start


def bring(target: Origin, bases: Sequence[Origin], effort: Effort, folder: Path) -> Journey:
    """Make `target` in `folder` where the `bases` are held. Raises when it does not come out the same."""
    held = [base.held for base in bases]
    index = target.held.index
    journey = Journey(index.size)
    journey.index = len(
        index_wire.shorten(target.index_file, bases[0].index_file) if bases else target.index_file
    )
    with journey.timed("plan"):
        what = plan(index, [base.index for base in held])
    journey.missing = what.missing_bytes
    with journey.timed("packs"):
        known = [(one.index, one.sketch) for one in (target.held, *held) if one.sketch is not None]
        frames = [pack(part, target.held, held, effort) for part in divide(known[0], what.missing, known[1:])]
    journey.packs = sum(map(len, frames))
    path = folder / "image"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    made = Assembly(index, target.held.name, fd, folder / "journal", folder / "scratch")
    try:
        with journey.timed("assembly"):
            for _ in made.follow(what, held):
                pass
            for frame in frames:
                unpacking = Unpacking(target.held.name, index, {base.name: base for base in held})
                for number, data in unpacking.feed(frame):
                    made.put(number, data)
                unpacking.finish()
                made.checkpoint()
            made.finish()
    finally:
        made.close()
        os.close(fd)
        for left in ("image", "journal", "scratch"):
            (folder / left).unlink(missing_ok=True)
    return journey
