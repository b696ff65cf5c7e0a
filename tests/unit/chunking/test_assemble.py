import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.chunking import build, codecs
from skerry.chunking.assemble import Assembly
from skerry.chunking.held import Held
from skerry.chunking.packs import Unpacking
from skerry.chunking.placing import Placing
from skerry.chunking.plan import plan
from skerry.chunking.progress import needed, ready_to
from skerry.core import write_points
from skerry.core.errors import UnknownFormat, WrongBytes
from tests.unit.chunking.disks import CLUSTER, KIB, Images, disk, noise, packed, qcow2, words
from tests.unit.chunking.test_packs import edited

OLD = disk(words(900 * KIB), 640 * KIB, noise(300 * KIB), words(700 * KIB, 1), 4 * KIB, noise(40 * KIB, 2))
NEW = disk(
    OLD[: 500 * KIB],
    edited(OLD[500 * KIB : 600 * KIB]),
    noise(68 * KIB, 9),
    OLD[600 * KIB :],
    words(99 * KIB, 7),
)

FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "qcow2": qcow2,
    "zlib": lambda content: qcow2(content, compress="zlib"),
    "zstd": lambda content: qcow2(content, compress="zstd"),
    "mixed": lambda content: qcow2(content, compress="zlib", damage=range(0, 40, 5), version=2),
    "odd": lambda content: b"\x1f\x8b" + content,
}


@pytest.mark.parametrize("base", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_a_new_version_arrives_whole_and_cheap_whatever_the_formats(
    images: Images, base: str, target: str
) -> None:
    new = FORMATS[target](NEW)
    held = images.hold(FORMATS[base](OLD))
    data, line = images.bring(images.hold(new), [held])
    assert data == new
    if not {base, target} & {"odd", "mixed"}:
        assert line < 200 * KIB  # of which 68 are new noise


parts = st.sampled_from(
    [
        noise(70 * KIB, 1),
        noise(70 * KIB, 2),
        words(150 * KIB, 3),
        words(40 * KIB, 4),
        edited(words(150 * KIB, 3), 40_000),
        bytes(200 * KIB),
        bytes(4 * KIB),
        b"end",
    ]
)
contents = st.lists(parts, max_size=8).map(lambda found: disk(*found))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    old=st.lists(st.tuples(contents, st.sampled_from(list(FORMATS))), max_size=2),
    new=contents,
    form=st.sampled_from(list(FORMATS)),
)
def test_any_image_arrives_whole_beside_any_others(
    images: Images, old: list[tuple[bytes, str]], new: bytes, form: str
) -> None:
    bases = [images.hold(FORMATS[kind](content)) for content, kind in old]
    data = FORMATS[form](new)
    assert images.bring(images.hold(data), bases)[0] == data


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=20_000))
def test_any_bytes_arrive_whole(images: Images, data: bytes) -> None:
    assert images.bring(images.hold(data))[0] == data


def test_holes_stay_holes(images: Images) -> None:
    content = disk(noise(64 * KIB), 3000 * KIB, noise(64 * KIB, 2), 2000 * KIB)
    held = images.hold(content, sparse=True)
    target = images.hold(disk(content, noise(4096)))
    with images.assembly(target) as (made, path):
        follow(made, target, [held])
        assert path.stat().st_size == len(content) + 4096
        assert path.stat()[stat.ST_SIZE] > 8 * path.stat().st_blocks * 512


def follow(made: Assembly, target: Held, bases: list[Held]) -> list[bytes]:
    """Do the local part of the plan as it is now. Returns the packs for the rest."""
    what = plan(target.index, [base.index for base in bases], made.stored)
    assert sum(made.follow(what, bases)) == sum(what.reused_bytes)
    return packed(target, what, bases)


def receive(made: Assembly, frame: bytes, target: Held, bases: list[Held]) -> Iterator[int]:
    for number, data in Unpacking(target.name, target.index, {base.name: base for base in bases}).feed(frame):
        made.put(number, data)
        yield number


def lose(images: Images, target: Held, number: int) -> None:
    """Have the bytes of a chunk not reach the disk before a power cut."""
    with ExitStack() as opened:
        paths = [images.folder / "new", images.folder / "new.scratch"]
        fds = [opened.enter_context(path.open("r+b")).fileno() for path in paths if path.exists()]
        nothing = memoryview(bytes(int(target.index.length[number])))
        Placing(target.index, fds[0], fds[-1]).write(number, nothing)


@pytest.mark.parametrize("power_cut", [False, True])
@pytest.mark.parametrize("form", ["raw", "zlib", "mixed"])
def test_an_assembly_that_is_broken_off_goes_on_from_what_reached_the_disk(
    images: Images, form: str, power_cut: bool
) -> None:
    base, target = images.hold(OLD), images.hold(FORMATS[form](NEW))
    with images.assembly(target) as (made, _):
        (frame,) = follow(made, target, [base])
        came = receive(made, frame, target, [base])
        kept = {next(came), next(came)}
        made.checkpoint()
        last = next(came)
    if power_cut:
        lose(images, target, last)
    with images.assembly(target) as (made, path):
        assert all(made.stored[number] for number in kept)
        assert made.stored[last] == (not power_cut)
        (frame,) = follow(made, target, [base])
        coming = set(receive(made, frame, target, [base]))
        assert (last in coming) == power_cut
        assert not kept & coming
        made.finish()
        assert path.read_bytes() == FORMATS[form](NEW)


def test_what_was_brought_for_another_image_is_not_used(images: Images) -> None:
    one, two = images.hold(OLD), images.hold(OLD + noise(100 * KIB))
    with images.assembly(one) as (made, _):
        for _ in receive(made, follow(made, one, [])[0], one, []):
            pass
        made.checkpoint()
    with images.assembly(two) as (made, _):
        assert not made.stored.any()
    (images.folder / "new").write_bytes(b"short")
    with images.assembly(two) as (made, _):
        assert not made.stored.any()


@pytest.mark.parametrize("torn", [1, 7, 15])
def test_a_row_that_was_being_written_when_the_power_went_is_left_out(images: Images, torn: int) -> None:
    target = images.hold(NEW)
    with images.assembly(target) as (made, _):
        came = receive(made, follow(made, target, [])[0], target, [])
        first = next(came)
        made.checkpoint()
        second = next(came)
        made.checkpoint()
    journal = images.folder / "new.journal"
    os.truncate(journal, journal.stat().st_size - 16 - torn)  # the note that it was written as well
    with images.assembly(target) as (made, _):
        assert made.stored[first]
        assert not made.stored[second]
        assert made.stored.sum() == 1


def test_nothing_is_said_to_be_durable_before_it_is(images: Images) -> None:
    target = images.hold(NEW)

    def stop(label: str) -> None:
        raise InterruptedError(label)

    with images.assembly(target) as (made, _):
        number = next(receive(made, follow(made, target, [])[0], target, []))
        write_points.set_hook(stop)
        try:
            with pytest.raises(InterruptedError, match=r"assembly\.bytes-durable"):
                made.checkpoint()
        finally:
            write_points.set_hook(None)
    lose(images, target, number)
    with images.assembly(target) as (made, _):
        assert not made.stored.any()


def bring_all(made: Assembly, target: Held, bases: list[Held]) -> None:
    for frame in follow(made, target, bases):
        for _ in receive(made, frame, target, bases):
            pass
    made.checkpoint()


@pytest.mark.parametrize("form", ["raw", "zlib"])
def test_a_held_image_that_lends_wrong_bytes_is_named_and_the_next_plan_does_without(
    images: Images, form: str
) -> None:
    base, target = images.hold(OLD), images.hold(FORMATS[form](NEW))
    os.pwrite(base.view.fd, b"rotten", 200 * KIB)
    with images.assembly(target) as (made, path):
        bring_all(made, target, [base])
        with pytest.raises(WrongBytes):
            made.finish()
        wrong, names = made.recheck()
        assert wrong > 0
        assert names == {base.name}
        bring_all(made, target, [])
        made.finish()
        assert path.read_bytes() == FORMATS[form](NEW)


@pytest.mark.parametrize("form", ["raw", "zlib"])
def test_bytes_that_went_bad_on_the_way_are_found_and_brought_anew(images: Images, form: str) -> None:
    target = images.hold(FORMATS[form](NEW))
    with images.assembly(target) as (made, path):
        for frame in follow(made, target, []):
            for _ in receive(made, frame, target, []):
                pass
        bad = path if form == "raw" else images.folder / "new.scratch"
        with bad.open("r+b") as file:
            file.seek(200 * KIB)
            file.write(b"rotten")
        with pytest.raises(WrongBytes):
            made.finish()
        assert made.recheck() == (1, frozenset())
        assert np.count_nonzero(~made.stored) == 1
        bring_all(made, target, [])
        made.finish()
        assert path.read_bytes() == FORMATS[form](NEW)


def test_an_image_with_a_chunk_missing_is_not_finished(images: Images) -> None:
    target = images.hold(NEW)
    with images.assembly(target) as (made, _):
        next(receive(made, follow(made, target, [])[0], target, []))
        with pytest.raises(WrongBytes, match="missing"):
            made.finish()


def test_a_cluster_that_another_image_has_in_the_same_form_is_copied(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = FORMATS["zlib"](OLD[: 800 * KIB] + NEW[-99 * KIB :])
    base, target = images.hold(FORMATS["zlib"](OLD)), images.hold(new)
    made: list[int] = []

    def counted(data: codecs.Buffer) -> bytes:
        made.append(len(data))
        return codecs.deflate(data)

    codec = target.index.recipe.codec
    monkeypatch.setitem(codecs.known(), codec, codecs.Codec(codec, counted))
    assert images.bring(target, [base])[0] == new
    assert 0 < len(made) < 4


def test_a_site_without_the_codec_says_so(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    target = images.hold(FORMATS["zlib"](OLD))
    monkeypatch.delitem(codecs.known(), target.index.recipe.codec)
    with pytest.raises(UnknownFormat, match="cannot compress"), images.assembly(target):
        pass


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_that_are_ready_are_right_and_those_that_are_needed_make_them_ready(
    images: Images, form: str
) -> None:
    new = FORMATS[form](NEW)
    target = images.hold(new)
    offset, length = 5 * CLUSTER + 100, 2 * CLUSTER
    with images.assembly(target) as (made, path):
        wanted = needed(target.index, made.in_file, made.built, offset, length)
        assert 0 < len(wanted) < 30
        for number in wanted.tolist():
            made.put(number, target.chunk(number))
        made._advance(wait=True)
        end = ready_to(target.index, made.in_file, made.built, offset)
        assert end >= offset + length
        assert path.read_bytes()[offset:end] == new[offset:end]
        assert not len(needed(target.index, made.in_file, made.built, offset, length))
        end = ready_to(target.index, made.in_file, made.built, 0)
        assert end < len(new)
        assert path.read_bytes()[:end] == new[:end]
        for number in range(target.index.count):
            made.put(number, target.chunk(number))
        made._advance(wait=True)
        assert ready_to(target.index, made.in_file, made.built, 0) == len(new)


def test_pieces_wait_for_all_their_chunks(images: Images) -> None:
    index = images.hold(FORMATS["mixed"](NEW)).index
    here = np.frombuffer(noise(index.count), np.uint8) > 127
    for piece, waits in enumerate(build.waiting(index, here).tolist()):
        start, end = int(index.recipe.view[piece]), int(index.recipe.view[piece] + index.recipe.span[piece])
        first, last = index.covering(start, end)
        chunks = [
            number
            for number in range(index.count)
            if index.offset[number] < end and index.offset[number] + index.length[number] > start
        ]
        assert list(range(first, last)) == chunks
        assert waits == (not all(here[number] for number in chunks))


def test_the_digest_of_the_finished_file_decides(images: Images, tmp_path: Path) -> None:
    target = images.hold(NEW)
    lie = Held(target.name, type(target.index)(
        hashlib.sha512(b"other").digest(), target.index.guest_size, target.index.recipe,
        target.index.offset, target.index.length, target.index.ids,
    ), target.view, target.sketch)  # fmt: skip
    with images.assembly(lie) as (made, _):
        bring_all(made, lie, [])
        with pytest.raises(WrongBytes, match="digest"):
            made.finish()
        assert made.recheck() == (0, frozenset())
        assert made.stored.all()
