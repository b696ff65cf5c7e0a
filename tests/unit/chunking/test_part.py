"""Images that are here in part, as sources for others."""

import os
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from skerry.chunking.assemble import Assembly
from skerry.chunking.held import Held
from skerry.chunking.packing import divide
from skerry.chunking.packs import Effort, Unpacking, pack
from skerry.chunking.part import sketched
from skerry.chunking.plan import plan
from skerry.core.errors import WrongBytes
from tests.unit.chunking.disks import Images
from tests.unit.chunking.test_assemble import FORMATS, NEW, OLD


def fill(made: Assembly, target: Held, numbers: Iterator[int] | range) -> None:
    for number in numbers:
        made.put(number, target.chunk(number))


def sent(lender: Held, wanted: np.ndarray, bases: list[Held]) -> list[bytes]:
    known = [(base.index, base.sketch) for base in (lender, *bases) if base.sketch is not None]
    return [pack(part, lender, bases, Effort.QUICK) for part in divide(known[0], wanted, known[1:])]


@pytest.mark.parametrize("form", ["raw", "zlib"])
def test_what_is_here_of_an_image_is_sent_on_as_by_who_has_all_of_it(images: Images, form: str) -> None:
    target, base = images.hold(FORMATS[form](NEW)), images.hold(OLD)
    what = plan(target.index, [base.index])
    with images.assembly(target) as (made, _):
        for _ in made.follow(what, [base]):
            pass
        fill(made, target, iter(what.missing[:4].tolist()))
        with closing(made.part()) as part:
            lender, here = part.held(what.missing)
            assert here.tolist() == what.missing[:4].tolist()
            frames = sent(lender, here, [base])
            whole = sent(target, here, [base])
            assert sum(map(len, frames)) <= sum(map(len, whole)) + 100
    found: dict[int, bytes] = {}
    for frame in frames:
        unpacking = Unpacking(target.name, target.index, {base.name: base})
        found |= {number: bytes(data) for number, data in unpacking.feed(frame)}
        unpacking.finish()
    assert sorted(found) == here.tolist()


def test_what_comes_later_is_there_and_what_is_not_here_is_not(images: Images) -> None:
    target = images.hold(NEW)
    with images.assembly(target) as (made, _), closing(made.part()) as part:
        lender, here = part.held(np.arange(target.index.count))
        assert len(here) == 0
        with pytest.raises(WrongBytes, match="not here"):
            lender.chunk(3)
        fill(made, target, range(3, 5))
        assert lender.chunk(3) == target.chunk(3)
        assert part.held(np.arange(target.index.count))[1].tolist() == [3, 4]


def test_nothing_is_read_but_chunks(images: Images) -> None:
    target = images.hold(NEW)
    with images.assembly(target) as (made, _), closing(made.part()) as part:
        fill(made, target, range(target.index.count))
        for offset, length in ((1, 10), (0, 10), (1 << 40, 4096)):
            with pytest.raises(WrongBytes):
                part.read(offset, length)


def test_a_chunk_that_was_damaged_on_the_disk_is_not_sent_on(images: Images) -> None:
    target = images.hold(NEW)
    with images.assembly(target) as (made, path), closing(made.part()) as part:
        fill(made, target, range(6))
        with path.open("r+b") as file:
            file.seek(int(target.index.offset[2]) + 5)
            file.write(b"damaged")
        assert part.held(np.arange(6))[1].tolist() == [0, 1, 3, 4, 5]


def test_a_whole_image_is_sent_on_before_it_has_its_sketch(images: Images) -> None:
    target = images.hold(NEW)
    wanted = np.array([1, 3, 4])
    bare = Held(target.name, target.index, target.view)
    lender, here = sketched(bare, wanted)
    assert here.tolist() == wanted.tolist()
    assert [len(frame) for frame in sent(lender, here, [])] == [len(f) for f in sent(target, wanted, [])]


def test_a_part_can_be_read_when_its_assembly_has_ended(images: Images) -> None:
    target = images.hold(FORMATS["zlib"](NEW))
    with images.assembly(target) as (made, path):
        fill(made, target, range(5))
        part = made.part()
    path.unlink()
    with closing(part):
        lender, here = part.held(np.arange(5))
        assert here.tolist() == [0, 1, 2, 3, 4]
        assert lender.chunk(4) == target.chunk(4)
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(part.fd)
