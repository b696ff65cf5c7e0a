"""Images that lie about themselves cost bounded time and memory, reach no other file, and arrive whole."""

import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.chunking import guest, vmdk
from skerry.chunking.recipe import Recipe
from skerry.chunking.seen import Odd, Seen
from tests.unit.chunking.disks import CLUSTER, KIB, Images, disk, noise, qcow2, words

SMALL = disk(words(30 * KIB), 8 * KIB, noise(8 * KIB), words(30 * KIB, 2))
FILE = qcow2(SMALL, compress="zlib", bits=12)


def looked_at(data: bytes, folder: Path, size: int | None = None) -> Seen:
    path = folder / "image"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDWR)
    try:
        if size is not None:
            os.ftruncate(fd, size)
        return guest.look(fd)
    finally:
        os.close(fd)


def taken_as_it_is(recipe: Recipe) -> bool:
    return recipe.file_size == recipe.view_size and len(recipe.at) <= 1


def patched(data: bytes, *changes: tuple[int, str, int]) -> bytes:
    changed = bytearray(data)
    for offset, form, value in changes:
        struct.pack_into(form, changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize("bits", [16, 21])
def test_an_enormous_disk_with_nothing_in_it_costs_nothing(tmp_path: Path, bits: int) -> None:
    pebibyte = 1 << 50
    entries = pebibyte // ((1 << bits) ** 2 // 8)
    image = patched(qcow2(b"", bits=bits), (24, ">Q", pebibyte), (36, ">I", entries))
    seen = looked_at(image, tmp_path, size=(3 << bits) + 8 * entries)
    assert seen.guest_size == pebibyte
    assert len(seen.recipe.at) < 4


def test_a_compressed_image_of_a_disk_larger_than_any_file_arrives(images: Images) -> None:
    content = words(3000 * KIB)
    image = patched(qcow2(content, compress="zlib", bits=21), (24, ">Q", 1 << 45), (36, ">I", 64))
    held = images.hold(image)
    assert held.index.guest_size == 1 << 45
    assert held.index.recipe.made.any()
    assert images.bring(held)[0] == image


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("a backing file", ((8, ">Q", 512), (16, ">I", 11), (512, ">Q", 0x2F6574632F706173))),
        ("encryption", ((32, ">I", 1),)),
        ("snapshots", ((60, ">I", 1), (64, ">Q", 4096))),
        ("an external data file", ((72, ">Q", 4),)),
        ("extended L2 entries", ((72, ">Q", 16),)),
        ("an unknown feature", ((72, ">Q", 1 << 40),)),
        ("an unknown version", ((4, ">I", 4),)),
        ("an unknown compression", ((72, ">Q", 8), (104, ">B", 9))),
        ("impossible clusters", ((20, ">I", 60),)),
        ("an impossible size", ((24, ">Q", (1 << 64) - 1),)),
        ("an L1 table that is too small", ((36, ">I", 0),)),
        ("an L1 table that is enormous", ((36, ">I", (1 << 32) - 1),)),
        ("an L1 table outside the file", ((40, ">Q", 1 << 62),)),
        ("an L2 table outside the file", ((3 * 4096, ">Q", 1 << 40),)),
        ("an L2 table at no cluster", ((3 * 4096, ">Q", 512),)),
        ("a cluster outside the file", ((4 * 4096, ">Q", 1 << 40),)),
        ("a cluster at no cluster", ((4 * 4096, ">Q", 512),)),
        ("a compressed cluster outside the file", ((4 * 4096, ">Q", 1 << 62 | 1 << 50),)),
        ("a cluster that is the header", ((4 * 4096, ">Q", 4096), (4 * 4096 + 8, ">Q", 4096))),
        (
            "two entries with one stream",
            ((4 * 4096, ">Q", 1 << 62 | 0x5000), (4 * 4096 + 8, ">Q", 1 << 62 | 0x5000)),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_qcow2_that_is_not_simple_is_taken_as_it_is(
    tmp_path: Path, why: str, changes: tuple[tuple[int, str, int], ...]
) -> None:
    assert not taken_as_it_is(looked_at(FILE, tmp_path).recipe)
    assert taken_as_it_is(looked_at(patched(FILE, *changes), tmp_path).recipe), why


def test_two_l1_entries_with_one_table_are_not_followed_twice(tmp_path: Path) -> None:
    image = qcow2(noise(3000 * KIB), bits=12)
    assert not taken_as_it_is(looked_at(image, tmp_path).recipe)
    table = struct.unpack_from(">Q", image, 3 * 4096)[0]
    assert taken_as_it_is(looked_at(patched(image, (3 * 4096 + 8, ">Q", table)), tmp_path).recipe)


def test_a_table_that_is_its_own_cluster_is_no_cluster(images: Images) -> None:
    image = patched(FILE, (4 * 4096, ">Q", 4 * 4096))
    assert images.bring(images.hold(image))[0] == image


def test_a_stream_that_stands_for_more_than_a_cluster_is_not_inflated_whole(images: Images) -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    bomb = compressor.compress(bytes(50 << 20)) + compressor.flush()
    start = (len(FILE) + 511) // 512 * 512
    sectors = (len(bomb) - 1) // 512
    image = FILE.ljust(start, b"\0") + bomb
    image = patched(image, (4 * 4096 + 2 * 8, ">Q", 1 << 62 | min(sectors, 15) << 58 | start))
    held = images.hold(image)
    assert int(held.index.recipe.span[held.index.recipe.made].max()) == 4096
    assert images.bring(held)[0] == image


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 5 * 4096), st.sampled_from([0, 1, 0x40, 0x50, 0x80, 0xFF])),
        min_size=1,
        max_size=6,
    ),
    length=st.none() | st.integers(1, len(FILE)),
)
def test_a_damaged_qcow2_arrives_as_it_was(
    images: Images, changes: list[tuple[int, int]], length: int | None
) -> None:
    image = bytearray(FILE)
    for offset, value in changes:
        image[offset] = value
    cut = bytes(image[:length])
    assert images.bring(images.hold(cut))[0] == cut


def stream_optimized(content: bytes, *, grain: int = 64 << 10) -> bytes:
    header = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 3, 3 << 16 | 1, 1 << 20, 128, 1, 1, 512, 0, 0, 128)
    body = bytearray(header.ljust(128 * 512, b"\0"))
    for start in range(0, len(content), grain):
        data = zlib.compress(content[start : start + grain])
        body += (struct.pack("<QI", start // 512, len(data)) + data).ljust(
            -(-(len(data) + 12) // 512) * 512, b"\0"
        )
    table = struct.pack("<QII", 4, 0, 1).ljust(512, b"\0") + b"t" * 4 * 512
    return bytes(body) + table + bytes(512)


def test_a_stream_optimized_vmdk_is_cut_where_grains_end(images: Images) -> None:
    content = words(8000 * KIB)
    one, two = images.hold(stream_optimized(content)), images.hold(stream_optimized(noise(CLUSTER) + content))
    ids = [{row.tobytes() for row in held.index.ids} for held in (one, two)]
    assert len(ids[0] & ids[1]) < len(ids[0])  # grains name their place, so those that moved have changed
    changed = content[: 4000 * KIB] + noise(CLUSTER) + content[4000 * KIB + CLUSTER :]
    three = images.hold(stream_optimized(changed))
    assert len({row.tobytes() for row in three.index.ids} & ids[0]) > 0.9 * len(ids[0])
    assert images.bring(one)[0] == stream_optimized(content)


@pytest.mark.parametrize(
    "changes",
    [((8, "<I", 0),), ((64, "<Q", 1 << 60),), ((64, "<Q", 0),), ((128 * 512 + 8, "<I", 0xFFFFFFFF),)],
)
def test_a_vmdk_of_another_kind_is_taken_as_it_is(
    images: Images, changes: tuple[tuple[int, str, int], ...]
) -> None:
    image = patched(stream_optimized(words(500 * KIB)), *changes)
    with pytest.raises(Odd):
        vmdk.look(images.hold(image).view.fd, image[: 64 << 10], len(image))
    assert images.bring(images.hold(image))[0] == image
