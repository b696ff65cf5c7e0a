import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.chunking import index_file, index_wire, sketch
from skerry.chunking.index import ImageIndex
from skerry.chunking.recipe import Recipe, plain
from skerry.chunking.zstandard import zstd
from skerry.core.errors import UnknownFormat, WrongBytes
from tests.unit.chunking.disks import KIB, Images, disk, noise, qcow2, words

HEAD = 192


@pytest.fixture
def index(images: Images) -> ImageIndex:
    return images.hold(qcow2(disk(words(600 * KIB), 800 * KIB, noise(100 * KIB)), compress="zlib")).index


def test_an_index_outlasts_its_file(index: ImageIndex) -> None:
    again = index_file.decode(index_file.encode(index), size=index.size)
    for name in ("offset", "length", "ids"):
        assert np.array_equal(getattr(again, name), getattr(index, name))
    for name in ("at", "length", "view", "span", "made"):
        assert np.array_equal(getattr(again.recipe, name), getattr(index.recipe, name))
    assert (again.sha512, again.guest_size, again.size) == (index.sha512, index.guest_size, index.size)
    assert (again.recipe.codec, again.recipe.view_size) == (index.recipe.codec, index.recipe.view_size)
    assert index_file.encode(again) == index_file.encode(index)


def test_an_index_of_nothing_is_an_index() -> None:
    none = np.zeros(0, np.int64)
    empty = ImageIndex(bytes(64), 0, plain(0), none, none, np.zeros((0, 32), np.uint8))
    assert index_file.decode(index_file.encode(empty)).count == 0


def test_an_index_of_a_later_version_is_known_as_such(index: ImageIndex) -> None:
    data = bytearray(index_file.encode(index))
    data[8] = 2
    with pytest.raises(UnknownFormat, match="version 2"):
        index_file.decode(bytes(data))


def test_an_index_of_another_image_is_refused(index: ImageIndex) -> None:
    with pytest.raises(WrongBytes, match="another image"):
        index_file.decode(index_file.encode(index), size=index.size + 1)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_damaged_index_is_refused_or_makes_sense(data: st.DataObject) -> None:
    good = small_index()
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(8, len(good) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.just(len(good)) | st.integers(0, len(good)))
    try:
        index = index_file.decode(bytes(changed[:length]))
    except (WrongBytes, UnknownFormat):
        return
    assert int((index.offset + index.length).max()) <= index.recipe.view_size


def small_index(**changes: Any) -> bytes:
    columns = {
        "at": [0, 1000, 9000],
        "length": [1000, 500, 7000],
        "view": [0, 4096, 20_000],
        "span": [1000, 4096, 7000],
    } | changes
    at, length, view, span = (np.array(columns[name], np.int64) for name in ("at", "length", "view", "span"))
    recipe = Recipe(20_000, 40_000, "zlib/6/x", at, length, view, span, np.array([False, True, False]))
    offset = np.array([0, 4096, 20_000])
    chunks = np.array([1000, 4096, 7000])
    return index_file.encode(ImageIndex(bytes(64), 0, recipe, offset, chunks, np.zeros((3, 32), np.uint8)))


@pytest.mark.parametrize(
    "changes",
    [
        {"at": [0, 999, 9000]},
        {"at": [0, 1000, 13_001]},
        {"at": [-1, 1000, 9000]},
        {"at": [0, 1000, 1 << 62]},
        {"view": [0, 999, 20_000]},
        {"view": [0, 36_000, 20_000]},
        {"view": [0, 4096, -1]},
        {"length": [1000, 0, 7000]},
        {"length": [999, 500, 7000]},
        {"span": [1000, 4 << 20, 7000]},
        {"length": [1000, 500]},
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(changes: dict[str, list[int]]) -> None:
    small_index()
    with pytest.raises(WrongBytes):
        small_index(**changes)


def test_columns_that_stand_for_more_than_was_said_are_not_unpacked(index: ImageIndex) -> None:
    data = index_file.encode(index)
    size = struct.unpack_from("<I", data, 12)[0]
    bomb = zstd.compress(bytes(100 << 20))
    changed = bytearray(data[:HEAD] + bomb + data[HEAD + size :])
    struct.pack_into("<I", changed, 12, len(bomb))
    with pytest.raises(WrongBytes, match="damaged"):
        index_file.decode(bytes(changed))


@pytest.mark.parametrize("field", [HEAD - 16, HEAD - 8])
def test_numbers_that_no_image_has_are_refused_before_anything_is_unpacked(
    index: ImageIndex, field: int
) -> None:
    data = bytearray(index_file.encode(index))
    struct.pack_into("<Q", data, field, 1 << 40)
    with pytest.raises(WrongBytes, match="damaged"):
        index_file.decode(bytes(data))


def test_an_index_travels_as_what_it_differs_by(images: Images) -> None:
    content = noise(6000 * KIB)
    held, data = (
        index_file.encode(images.hold(disk(part, content)).index)
        for part in (noise(70 * KIB, 1), words(70 * KIB))
    )
    short = index_wire.shorten(data, held)
    assert len(short) < len(data) / 3
    assert index_wire.lengthen(short, held, len(data)) == data
    for damaged, most in ((short, len(data) - 1), (short[:-5], len(data)), (b"x" + short, len(data))):
        with pytest.raises(WrongBytes):
            index_wire.lengthen(damaged, held, most)


def test_a_sketch_outlasts_its_file(images: Images) -> None:
    made = images.hold(words(3000 * KIB)).sketch
    assert made is not None
    again = sketch.decode(sketch.encode(made))
    assert len(again.features) > 500
    assert np.array_equal(again.features, made.features)
    assert np.array_equal(again.counts, made.counts)


@pytest.mark.parametrize("change", [(0, 1), (12, 200), (16, 1), (30, 77)])
def test_a_damaged_sketch_is_refused(images: Images, change: tuple[int, int]) -> None:
    made = images.hold(words(300 * KIB)).sketch
    assert made is not None
    good = sketch.encode(made)
    data = bytearray(good)
    data[change[0]] ^= change[1]
    with pytest.raises(WrongBytes):
        sketch.decode(bytes(data))
    with pytest.raises(UnknownFormat):
        sketch.decode(good[:8] + b"\2" + good[9:])
