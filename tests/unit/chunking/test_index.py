import hashlib

import numpy as np
import pytest

from skerry.chunking import making
from skerry.chunking.held import Held
from tests.unit.chunking.disks import CLUSTER, KIB, Images, disk, noise, qcow2, words

SYSTEM = disk(
    words(300 * KIB), 1000 * KIB, noise(200 * KIB), words(2000 * KIB, 2), 8 * KIB, noise(50 * KIB, 3)
)
PADDED = SYSTEM.ljust(-(-len(SYSTEM) // CLUSTER) * CLUSTER, b"\0")


def ids(held: Held) -> set[bytes]:
    return {row.tobytes() for row in held.index.ids}


@pytest.mark.parametrize("compress", ["", "zlib", "zstd"])
@pytest.mark.parametrize("bits", [12, 16, 21])
def test_a_qcow2_has_the_chunks_of_the_raw_disk(images: Images, compress: str, bits: int) -> None:
    raw = images.hold(SYSTEM)
    held = images.hold(qcow2(SYSTEM, compress=compress, bits=bits))
    guest = held.index.offset < held.index.guest_size
    assert {row.tobytes() for row in held.index.ids[guest]} == ids(raw)
    assert held.index.offset[guest].tolist() == raw.index.offset.tolist()
    assert held.index.recipe.codec.partition("/")[0] == compress


@pytest.mark.parametrize("compress", ["", "zlib", "zstd"])
def test_the_view_of_a_qcow2_is_what_its_guest_sees(images: Images, compress: str) -> None:
    view = images.hold(qcow2(SYSTEM, compress=compress)).view
    assert view.read(0, len(SYSTEM)) == SYSTEM
    assert view.read(123_456, 345_678) == SYSTEM[123_456 : 123_456 + 345_678]
    assert view.read(len(PADDED) - 5000, 5000) == PADDED[-5000:]


def test_chunks_can_be_read_by_their_numbers(images: Images) -> None:
    held = images.hold(qcow2(SYSTEM, compress="zlib"))
    for number in range(held.index.count):
        assert hashlib.sha256(held.chunk(number)).digest() == held.index.ids[number].tobytes()


def test_zeros_are_no_chunks_however_they_are_stored(images: Images) -> None:
    thin, thick = images.hold(SYSTEM, sparse=True), images.hold(SYSTEM)
    assert thin.name == thick.name
    assert images.hold(bytes(10_000 * KIB)).index.count == 0


def test_a_raw_image_is_indexed_in_the_pass_that_takes_it_in(images: Images) -> None:
    for data in (SYSTEM, b"", b"\1" * 512, iso(SYSTEM)):
        held = images.hold(data)
        streaming = making.Streaming()
        for start in range(0, len(data), 100_000):
            streaming.feed(data[start : start + 100_000])
        index = streaming.finish(held.index.sha512)
        assert index is not None
        assert np.array_equal(index.ids, held.index.ids)
        assert np.array_equal(index.offset, held.index.offset)


@pytest.mark.parametrize("data", [qcow2(SYSTEM), SYSTEM + b"x", b"\x1f\x8b" + noise(100_000), b"KDMV"])
def test_what_is_no_raw_disk_is_indexed_later(images: Images, data: bytes) -> None:
    streaming = making.Streaming()
    streaming.feed(data)
    assert streaming.finish(bytes(64)) is None


def iso(content: bytes) -> bytes:
    return bytes(32 * KIB) + b"\1CD001\1\0".ljust(2048, b"\0") + content


@pytest.mark.parametrize("compress", ["", "zlib"])
def test_a_site_sketches_an_image_as_its_origin_does(images: Images, compress: str) -> None:
    held = images.hold(qcow2(SYSTEM, compress=compress))
    sketch = making.sketch_of(held)
    assert held.sketch is not None
    assert np.array_equal(sketch.features, held.sketch.features)
    assert np.array_equal(sketch.counts, held.sketch.counts)


def test_an_iso_is_cut_at_sectors(images: Images) -> None:
    content = words(3000 * KIB)
    one, two = images.hold(iso(content)), images.hold(iso(noise(2048) + content))
    assert len(ids(one) & ids(two)) > 0.8 * len(ids(one))
    assert not np.any(two.index.offset % 2048)


def test_a_fixed_vhd_shares_its_chunks_with_the_raw_disk(images: Images) -> None:
    footer = (b"conectix" + bytes(52) + b"\0\0\0\2").ljust(512, b"\0")
    raw, vhd = images.hold(SYSTEM), images.hold(SYSTEM + footer)
    assert len(ids(raw) - ids(vhd)) <= 1


def test_what_follows_an_insertion_in_an_unknown_file_is_found_again(images: Images) -> None:
    content = noise(3000 * KIB)
    one, two = images.hold(b"\x1f\x8b" + content), images.hold(b"\x1f\x8b12345" + content)
    assert len(ids(one) & ids(two)) > 0.8 * len(ids(one))


def test_compressed_clusters_that_do_not_come_out_the_same_travel_as_they_are(images: Images) -> None:
    some = images.hold(qcow2(SYSTEM, compress="zlib", damage=[0, 20]))
    good = images.hold(qcow2(SYSTEM, compress="zlib"))
    assert int(some.index.recipe.made.sum()) == int(good.index.recipe.made.sum()) - 2
    assert some.index.recipe.view_size > good.index.recipe.view_size
    assert images.bring(some)[0] == qcow2(SYSTEM, compress="zlib", damage=[0, 20])


def test_when_most_clusters_do_not_come_out_the_same_the_file_is_cut_where_they_begin(images: Images) -> None:
    def other(content: bytes) -> bytes:
        return qcow2(content, compress="zlib", damage=range(1000))

    content = words(8000 * KIB)
    one, two = images.hold(other(content)), images.hold(other(noise(CLUSTER) + content))
    assert not one.index.recipe.made.any()
    assert one.index.recipe.file_size == one.index.recipe.view_size == len(other(content))
    assert len(ids(one) & ids(two)) > 0.8 * len(ids(one))
