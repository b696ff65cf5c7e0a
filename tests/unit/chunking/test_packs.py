import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.chunking import pack_file
from skerry.chunking.held import Held
from skerry.chunking.pack_file import Head
from skerry.chunking.packing import MOST_PREFIX, SMALL, divide
from skerry.chunking.packs import Effort, Unpacking
from skerry.chunking.plan import plan
from skerry.chunking.zstandard import zstd
from skerry.core.errors import UnknownFormat, WrongBytes
from tests.unit.chunking.disks import KIB, Images, disk, noise, packed, words


def edited(data: bytes, step: int = 7000) -> bytes:
    """The same with another word here and there, so that hardly a chunk is the same."""
    changed = bytearray(data)
    for start in range(0, len(data) - 100, step):
        changed[start : start + 9] = b"NEW WORDS"
    return bytes(changed)


OLD = disk(words(1200 * KIB), noise(900 * KIB), 300 * KIB, noise(300 * KIB, 5))
NEW = disk(edited(OLD[: 2100 * KIB]), noise(100 * KIB, 6))


@pytest.fixture
def old(images: Images) -> Held:
    return images.hold(OLD)


@pytest.fixture
def new(images: Images) -> Held:
    return images.hold(NEW)


def unpacked(frame: bytes, target: Held, *bases: Held, piece: int = 1 << 20) -> dict[int, bytes]:
    unpacking = Unpacking(target.name, target.index, {base.name: base for base in bases})
    found: dict[int, bytes] = {}
    for start in range(0, len(frame), piece):
        found |= {number: bytes(data) for number, data in unpacking.feed(frame[start : start + piece])}
    unpacking.finish()
    return found


@pytest.mark.parametrize("effort", Effort)
@pytest.mark.parametrize("piece", [100, 5000, 1 << 20])
def test_a_pack_brings_its_chunks_however_it_comes(old: Held, new: Held, effort: Effort, piece: int) -> None:
    what = plan(new.index, [old.index])
    found: dict[int, bytes] = {}
    for frame in packed(new, what, [old], effort):
        found |= unpacked(frame, new, old, piece=piece)
    assert sorted(found) == what.missing.tolist()
    for number, data in found.items():
        assert hashlib.sha256(data).digest() == new.index.ids[number].tobytes()


def test_chunks_that_are_like_held_ones_cost_little(old: Held, new: Held) -> None:
    what = plan(new.index, [old.index])
    assert what.missing_bytes > 2000 * KIB
    assert sum(map(len, packed(new, what, [old]))) < 160 * KIB  # 100 of them are new noise
    assert sum(map(len, packed(new, plan(new.index, []), []))) > 1000 * KIB


def test_the_first_chunks_of_a_pack_are_there_before_its_end(old: Held, new: Held) -> None:
    (frame,) = packed(new, plan(new.index, []), [])
    unpacking = Unpacking(new.name, new.index, {})
    assert len(list(unpacking.feed(frame[: len(frame) // 2]))) > 3
    with pytest.raises(WrongBytes, match="ended"):
        unpacking.finish()


def test_an_image_that_is_held_twice_gives_its_chunks_once(images: Images, old: Held, new: Held) -> None:
    again = images.hold(OLD + bytes(4096))
    what = plan(new.index, [old.index, again.index])
    once, twice = packed(new, what, [old]), packed(new, what, [old, again])
    assert sum(map(len, twice)) < sum(map(len, once)) + 1000


def test_a_sender_that_sends_other_bytes_is_found_out(images: Images, old: Held, new: Held) -> None:
    what = plan(new.index, [old.index])
    (frame,) = packed(new, what, [old])
    wrong = new.index.ids.copy()
    wrong[what.missing[3]] ^= 1
    unpacking = Unpacking(new.name, replace(new.index, ids=wrong), {old.name: old})
    found = []
    with pytest.raises(WrongBytes) as raised:
        found += [number for number, _ in unpacking.feed(frame)]
    assert "index" not in raised.value.ids


def test_a_held_image_that_is_damaged_is_named(images: Images, old: Held, new: Held) -> None:
    (frame,) = packed(new, plan(new.index, [old.index]), [old])
    (images.folder / "image-0").write_bytes(noise(len(OLD)))
    with pytest.raises(WrongBytes, match="held image") as raised:
        unpacked(frame, new, old)
    assert raised.value.ids == {"index": old.name}


def test_what_is_no_pack_for_this_image_is_refused(old: Held, new: Held) -> None:
    (frame,) = packed(new, plan(new.index, [old.index]), [old])
    with pytest.raises(WrongBytes, match="another image"):
        unpacked(frame, old, old)
    with pytest.raises(WrongBytes, match="not here"):
        unpacked(frame, new)
    with pytest.raises(UnknownFormat, match="version 9"):
        unpacked(frame[:8] + b"\x09" + frame[9:], new, old)
    with pytest.raises(WrongBytes, match="no pack"):
        unpacked(b"x" + frame[1:], new, old)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_pack_brings_right_chunks_or_none(images: Images, data: st.DataObject) -> None:
    content = disk(words(90 * KIB), noise(30 * KIB))
    old, new = images.hold(content), images.hold(edited(content))
    (frame,) = packed(new, plan(new.index, [old.index]), [old])
    changed = bytearray(frame)
    changed[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    unpacking = Unpacking(new.name, new.index, {old.name: old})
    try:
        for number, chunk in unpacking.feed(bytes(changed)):
            assert hashlib.sha256(chunk).digest() == new.index.ids[number].tobytes()
        unpacking.finish()
    except (WrongBytes, UnknownFormat):
        pass
    finally:
        images.close()
        images._open.clear()


def hostile(target: Held, head: Head | None = None, chunks: bytes = b"") -> bytes:
    good = Head(bytes.fromhex(target.name), (), (0, 1), ())
    return pack_file.encode_head(head or good) + chunks


def test_a_window_larger_than_the_chunks_is_not_made_room_for(new: Held) -> None:
    data = bytes(new.chunk(0))
    fair = hostile(new, chunks=zstd.compress(data))
    assert unpacked(fair, new) == {0: data}
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    large = compressor.compress(data) + compressor.flush()
    with pytest.raises(WrongBytes):
        unpacked(hostile(new, chunks=large), new)


@pytest.mark.parametrize(
    ("chunks", "prefix"),
    [
        ((0, 10_000_000), ()),
        ((-1, 1), ()),
        ((1 << 62, 1), ()),
        ((0, 1, 2), ()),
        ((0, 0), ()),
        ((0, 1), (0, 0, 1 << 60)),
        ((0, 1), (7, 0, 1)),
        ((0, 1), (0, 0)),
    ],
)
def test_a_head_that_names_what_is_not_there_is_refused(
    old: Held, new: Held, chunks: tuple[int, ...], prefix: tuple[int, ...]
) -> None:
    head = Head(bytes.fromhex(new.name), (bytes.fromhex(old.name),), chunks, prefix)
    frame = hostile(new, head, zstd.compress(bytes(new.chunk(0))))
    with pytest.raises(WrongBytes):
        unpacked(frame, new, old)


def test_a_head_that_stands_for_more_than_a_head_is_not_unpacked(new: Held) -> None:
    packed_head = zstd.compress(bytes(200 << 20))
    with pytest.raises(WrongBytes, match="head"):
        unpacked(pack_file.START.pack(b"SKERRYPK", 1, len(packed_head)) + packed_head, new)


def test_packs_are_small_where_there_are_likenesses_and_large_where_not(images: Images) -> None:
    content = noise(12 << 20)
    old, new = images.hold(content), images.hold(edited(content))
    assert new.sketch is not None
    assert old.sketch is not None
    what = plan(new.index, [old.index])
    few = divide((new.index, new.sketch), what.missing, [(old.index, old.sketch)])
    assert len(few) == 3
    for part in few:
        assert int(new.index.length[part.chunks].sum()) <= SMALL + (256 << 10)
        assert 0 < int(old.index.length[part.chunk].sum()) <= MOST_PREFIX
    assert np.concatenate([part.chunks for part in few]).tolist() == what.missing.tolist()
    assert len(divide((new.index, new.sketch), what.missing, [])) == 1
